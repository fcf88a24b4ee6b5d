from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchfill.manifest.encodings import guess_encoding, is_encoding, words_in
from tests.support.manifests import HEADER, URLS

if TYPE_CHECKING:
    from collections.abc import Callable

    from batchfill.domain.rows import Row

CHINESE = "一艘宇宙飞船停在沙滩上，旁边有一只猫"
JAPANESE = "砂浜に停まる宇宙船と、そのとなりのネコ"
WESTERN = "café à la plage, un œuf, naïve Größe, señor"


@pytest.mark.parametrize(
    ("prompt", "encoding", "looks_like", "words", "line"),
    [
        (WESTERN.replace(",", ""), "windows-1252", "Windows-1252", "café à œuf", ":2"),
        ("Größe", "latin-1", "Windows-1252", "Größe", ":2"),
        ("“a cat” – it’s asleep…", "windows-1252", "Windows-1252", "“a cat” –", ":2"),
        ("Größe", "cp850", "cp850", "Größe", ":2"),
        ("eine schöne Tür im Haus", "mac_roman", "mac_roman", "schöne Tür", ":2"),
        ("zażółć gęślą jaźń", "cp1250", "Windows-1250", "zażółć gęślą jaźń", ":2"),
        ("zażółć gęślą jaźń", "cp852", "cp852", "zażółć gęślą jaźń", ":2"),
        ("zażółć gęślą jaźń", "iso-8859-2", "ISO-8859-2", "zażółć gęślą jaźń", ":2"),
        ("příliš žluťoučký kůň pěl", "cp1250", "Windows-1250", "příliš žluťoučký kůň", ":2"),
        ("árvíztűrő tükörfúrógép", "cp1250", "Windows-1250", "árvíztűrő tükörfúrógép", ":2"),
        ("rød båd på søen", "cp1252", "Windows-1252", "rød båd på", ":2"),
        ("kırmızı araba güneşli gün", "cp1254", "Windows-1254", "kırmızı güneşli gün", ":2"),
        ("красный дом у моря", "cp1251", "Windows-1251", "красный дом у", ":2"),
        ("красный дом у моря", "koi8-r", "KOI8-R", "красный дом у", ":2"),
        ("красный дом у моря", "cp866", "cp866", "красный дом у", ":2"),
        ("το κόκκινο σπίτι", "cp1253", "Windows-1253", "το κόκκινο σπίτι", ":2"),
        (CHINESE, "gb18030", "GB18030", CHINESE, ":2"),
        (CHINESE, "gbk", "GB18030", CHINESE, ":2"),
        ("太空船停在沙灘上，旁邊有一隻貓", "big5", "Big5", "太空船停在沙灘上，旁邊有一隻貓", ":2"),
        (JAPANESE, "shift_jis", "Shift_JIS", JAPANESE, ":2"),
        (JAPANESE, "euc-jp", "EUC-JP", JAPANESE, ":2"),
        ("해변에 있는 우주선과 고양이", "euc-kr", "cp949", "해변에 있는 우주선과", ":2"),
        (CHINESE, "utf-16", "UTF-16", "", ""),
        ("a boat", "utf-16-le", "UTF-16-LE", "", ""),
        (CHINESE, "utf-16-le", "UTF-16-LE", "", ""),
        (CHINESE, "utf-16-be", "UTF-16-BE", "", ""),
    ],
)
def test_a_file_in_another_encoding_is_named_with_its_words_and_a_way_out_that_works(
    mistakes: Callable[..., list[str]],
    rows: Callable[..., list[Row]],
    prompt: str,
    encoding: str,
    looks_like: str,
    words: str,
    line: str,
) -> None:
    content = (HEADER + f"a,{URLS},{prompt}\n").encode(encoding)
    way_out = f'save as "CSV UTF-8" or add --encoding {looks_like.lower()}'
    gives = f", which gives {words}" if words else ""

    assert mistakes(content) == [f"night.csv{line}: not UTF-8 (looks like {looks_like}{gives}): {way_out}"]
    (row,) = rows(content, encoding=looks_like.lower())
    assert row.inputs["prompt"] == prompt


def test_words_of_a_guess_are_few_and_short() -> None:
    sample = " ".join(["é" * 100, "a", "ä", "ö", "ü"]).encode("windows-1252")

    assert words_in(sample, "windows-1252") == f"{'é' * 24}… ä ö"


def test_bad_bytes_deep_in_a_file_are_found_with_their_line(mistakes: Callable[..., list[str]]) -> None:
    good = HEADER + f"a,{URLS},飞船\n" * 5000
    found = mistakes(good.encode() + f"b,{URLS},{CHINESE}\n".encode("gb18030"))

    assert found == [
        f"night.csv:5002: not UTF-8 (looks like GB18030, which gives {CHINESE}): "
        'save as "CSV UTF-8" or add --encoding gb18030'
    ]


def test_a_wrong_encoding_of_the_command_line_is_named_too(mistakes: Callable[..., list[str]]) -> None:
    (found,) = mistakes((HEADER + f"a,{URLS},{WESTERN!r}\n").encode(), encoding="ascii")

    assert found.startswith("night.csv:2: not ascii (looks like UTF-8, which gives 'café à œuf): save as")
    assert found.endswith("add --encoding utf-8")


def test_a_character_cut_off_at_the_end_is_a_mistake(mistakes: Callable[..., list[str]]) -> None:
    (found,) = mistakes((HEADER + f"a,{URLS},猫").encode()[:-1])

    assert found.startswith("night.csv:2: not UTF-8")


@pytest.mark.parametrize("name", ["utf-8", "GB18030", "latin-1", "cp1252", "utf-16"])
def test_encodings_of_text_are_known(name: str) -> None:
    assert is_encoding(name)


@pytest.mark.parametrize("name", ["", "utf-9", "base64", "rot13", "undefined", "a\0b", "../x", "é"])
def test_what_is_no_encoding_of_text_is_refused(name: str) -> None:
    assert not is_encoding(name)


@given(st.binary(max_size=300))
def test_every_guess_is_an_encoding(sample: bytes) -> None:
    assert is_encoding(guess_encoding(sample).lower())
