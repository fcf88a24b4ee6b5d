"""In which encoding a file is, where it is not UTF-8: a small guess for a message, never for reading."""

from __future__ import annotations

import codecs

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
    if _is_japanese(sample):
        return "Shift_JIS"
    if _is_chinese(sample):
        return "GB18030"
    return "Windows-1252" if decode_sample(sample, "windows-1252") is not None else "Latin-1"


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


def _is_japanese(sample: bytes) -> bool:
    # Chinese read as Shift_JIS gives half-width kana; whole kana come out of Japanese only.
    foreign = _foreign_part(decode_sample(sample, "shift_jis"))
    kana = sum("\u3040" <= c <= "\u30ff" for c in foreign)
    return bool(foreign) and 5 * kana >= len(foreign)


def _is_chinese(sample: bytes) -> bool:
    # Western letters stand alone among ASCII: with the ASCII byte behind them they make rare ideographs,
    # never those of GB2312, both of whose bytes are high.
    foreign = _foreign_part(decode_sample(sample, "gb18030"))
    common = sum(_is_common(c) for c in foreign)
    return bool(foreign) and 10 * common >= 7 * len(foreign)


def _is_common(c: str) -> bool:
    try:
        lead = c.encode("gb2312")[0]
    except UnicodeEncodeError:
        return False
    # Punctuation and the ideographs of the first level; Cyrillic read as Chinese gives the second.
    return lead <= 0xD7


def _foreign_part(text: str | None) -> str:
    return "".join(c for c in text or "" if c > "\x7f")
