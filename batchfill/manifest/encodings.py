"""In which encoding a file is, where it is not UTF-8: a small guess for a message, never for reading."""

from __future__ import annotations

import codecs
import re

_ALPHABETS = {
    "German": "äöüß",
    "French": "àâçéèêëîïôùûüÿœæ",
    "Spanish": "áéíóúüñ",
    "Portuguese": "áâãàçéêíóôõú",
    "Italian": "àèéìòù",
    "Nordic": "åäæöøéü",
    "Icelandic": "áðéíóúýþæö",
    "Polish": "ąćęłńóśźż",
    "Czech and Slovak": "áäčďéěíĺľňóôŕřšťúůýž",
    "Hungarian": "áéíóöőúüű",
    "Croatian and Slovenian": "čćđšž",
    "Romanian": "ăâîşţșț",
    "Turkish": "âçğıiöşü\u0307",
    "Baltic": "āčēģīķļņšūžąęėįųõäöü",
    "Cyrillic": "абвгдежзийклмнопрстуфхцчшщъыьэюяёіїєґўљњћђџј",
    "Greek": "αβγδεζηθικλμνξοπρσςτυφχψωάέήίόύώϊϋ",
    "Hebrew": "אבגדהוזחטיךכלםמןנסעףפץצקרשת",
    "Arabic": "ابتثجحخدذرزسشصضطظعغفقكلمنهويىةءآأؤإئپچژگ",
}
"""Letters beyond ASCII of the languages that a text may be in."""

_ONE_BYTE = {
    "Windows-1252": ("German", "French", "Spanish", "Portuguese", "Italian", "Nordic", "Icelandic"),
    "Windows-1250": ("Polish", "Czech and Slovak", "Hungarian", "Croatian and Slovenian", "Romanian"),
    "Windows-1251": ("Cyrillic",),
    "cp850": ("German", "French", "Spanish", "Portuguese", "Italian", "Nordic"),
    "cp852": ("Polish", "Czech and Slovak", "Hungarian", "Croatian and Slovenian"),
    "Windows-1254": ("Turkish",),
    "Windows-1253": ("Greek",),
    "Windows-1255": ("Hebrew",),
    "Windows-1256": ("Arabic",),
    "Windows-1257": ("Baltic",),
    "KOI8-R": ("Cyrillic",),
    "cp866": ("Cyrillic",),
    "ISO-8859-2": ("Polish", "Czech and Slovak", "Hungarian"),
    "mac_roman": ("German", "French", "Spanish", "Italian", "Nordic"),
}
"""Encodings of one byte a letter and the languages written in them; of equals, the first one is taken."""

_HANGUL = frozenset("이다는을를에의가고은로하기지사도한인자대")
"""Syllables that Korean is full of."""

_WORDS = 3
_LONGEST_WORD = 24
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_FEW = 4


def is_encoding(name: str) -> bool:
    """Whether Python can read text in the encoding *name*."""
    try:
        "a".encode(name)
    except (LookupError, ValueError):
        # LookupError also for codecs that are no text encodings (base64), ValueError for odd names.
        return False
    return True


def guess_encoding(sample: bytes) -> str:
    """Return the likeliest encoding of *sample*, by a name that both a person and Python know."""
    if sample.startswith(_UTF16):
        return "UTF-16"
    if byte_order := _utf16_order(sample):
        return f"UTF-16-{byte_order}"
    if decode_sample(sample, "utf-8") is not None:
        return "UTF-8"
    return _guess_asian(sample) or _guess_one_byte(sample)


def words_in(sample: bytes, encoding: str) -> str:
    """Return the first words of *sample* with letters beyond ASCII, as *encoding* gives them."""
    text = decode_sample(sample, encoding) or ""
    words = [word for word in re.split(r'[\s,;|"]+', text) if not word.isascii()][:_WORDS]
    return " ".join(word if len(word) <= _LONGEST_WORD else f"{word[:_LONGEST_WORD]}…" for word in words)


def decode_sample(sample: bytes, encoding: str, *, whole: bool = False) -> str | None:
    """Return *sample* as text, None when it is not *encoding*.

    Unless *whole*, its last character may be cut in two.
    """
    try:
        return codecs.getincrementaldecoder(encoding)().decode(sample, final=whole)
    except ValueError:
        return None


def _utf16_order(sample: bytes) -> str:
    # The ASCII characters of a table (commas, paths) have a zero byte each, on one and the same side.
    even, odd = sample[0::2].count(0), sample[1::2].count(0)
    if max(even, odd) < _FEW or 20 * max(even, odd) < len(sample) or min(even, odd) * 10 > max(even, odd):
        return ""
    return "LE" if odd > even else "BE"


def _guess_asian(sample: bytes) -> str | None:
    for encoding in ("Shift_JIS", "EUC-JP"):
        if _is_japanese(_foreign_part(decode_sample(sample, encoding))):
            return encoding
    if _is_korean(_foreign_part(decode_sample(sample, "cp949"))):
        return "cp949"
    # Where both read it, the one that makes the more common characters of it.
    shares = {"GB18030": _common_share(sample, "gb18030", 0xD7), "Big5": _common_share(sample, "big5", 0xC6)}
    likely = max(shares, key=lambda encoding: shares[encoding])
    return likely if shares[likely] >= 0.7 else None


def _is_japanese(foreign: str) -> bool:
    # Chinese read as Shift_JIS gives half-width kana; whole kana come out of Japanese only.
    kana = sum("\u3040" <= c <= "\u30ff" for c in foreign)
    return bool(foreign) and 5 * kana >= len(foreign)


def _is_korean(foreign: str) -> bool:
    # Chinese read as Korean gives syllables too, but not those that Korean is full of.
    letters = [c for c in foreign if c.isalpha()]
    hangul = sum("\uac00" <= c <= "\ud7a3" for c in letters)
    return bool(letters) and hangul == len(letters) and 5 * sum(c in _HANGUL for c in letters) >= hangul


def _common_share(sample: bytes, encoding: str, last: int) -> float:
    """Return which share of the foreign characters are common ones: of lead bytes up to *last*.

    Western letters stand alone among ASCII: with the ASCII byte behind them they make rare ideographs.
    """
    foreign = _foreign_part(decode_sample(sample, encoding))
    national = "gb2312" if encoding == "gb18030" else encoding
    return sum(_lead_byte(c, national) <= last for c in foreign) / len(foreign) if foreign else 0.0


def _lead_byte(c: str, encoding: str) -> int:
    try:
        return c.encode(encoding)[0]
    except UnicodeEncodeError:
        return 0xFF


def _guess_one_byte(sample: bytes) -> str:
    shares = {encoding: _share_of_letters(sample, encoding) for encoding in _ONE_BYTE}
    likely = max(shares, key=lambda encoding: shares[encoding])
    if shares[likely] > 0:
        return likely
    return "Windows-1252" if decode_sample(sample, "windows-1252") is not None else "Latin-1"


def _share_of_letters(sample: bytes, encoding: str) -> float:
    """Return which share of the foreign characters are letters of one of the languages of *encoding*.

    Small letters count a little more: other encodings of Cyrillic have both the other way round. Marks such
    as long dashes count for nothing, but not inside a word. A word of two alphabets is none, nor is one with
    a capital in it.
    """
    text = decode_sample(sample, encoding)
    if text is None or _CONTROL.search(text):
        return 0.0
    foreign = [c for c in _MARKS.sub("", text) if c > "\x7f"]
    if not foreign:
        return _MARKS_ONLY
    small, letters = sum(map(str.islower, foreign)), "".join(foreign).lower()
    fitting = max(sum(map(_ALPHABETS[language].__contains__, letters)) for language in _ONE_BYTE[encoding])
    return (fitting + small / 100 - len(_NO_WORD.findall(text))) / len(foreign)


_MARKS_ONLY = 0.95
"""Likelier than letters of which not all fit."""

_MARKS = re.compile(r"(?<!\w)[–—‘’“”„«»…€§°·•¿¡©®™´\xa0]|[–—’“”»…€§°·•©®™´\xa0](?!\w)|(?<=\w)’(?=\w)")
_NO_WORD = re.compile(
    "[A-Za-z][\u0370-\u06ff]|[\u0370-\u06ff][A-Za-z]|[a-z\u00df-\u00ff\u0430-\u045f][\u0410-\u042f]"
)
_CONTROL = re.compile(r"[\x80-\x9f]")


def _foreign_part(text: str | None) -> str:
    return "".join(c for c in text or "" if c > "\x7f")
