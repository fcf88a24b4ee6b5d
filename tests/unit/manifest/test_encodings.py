from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchfill.manifest.encodings import guess_encoding, is_encoding
from tests.support.manifests import HEADER, URLS

if TYPE_CHECKING:
    from collections.abc import Callable

    from batchfill.domain.rows import Row

CHINESE = "一艘宇宙飞船停在沙滩上，旁边有一只猫"
JAPANESE = "砂浜に停まる宇宙船と、そのとなりのネコ"
WESTERN = "café à la plage, un œuf, naïve Größe, señor"


@pytest.mark.parametrize(
    ("prompt", "encoding", "looks_like", "line"),
    [
        (WESTERN.replace(",", ""), "windows-1252", "Windows-1252", ":2"),
        ("Größe", "latin-1", "Windows-1252", ":2"),
        (CHINESE, "gb18030", "GB18030", ":2"),
        (CHINESE, "gbk", "GB18030", ":2"),
        (JAPANESE, "shift_jis", "Shift_JIS", ":2"),
        (CHINESE, "utf-16", "UTF-16", ""),
        ("a boat", "utf-16-le", "UTF-16-LE", ""),
        (CHINESE, "utf-16-le", "UTF-16-LE", ""),
        (CHINESE, "utf-16-be", "UTF-16-BE", ""),
    ],
)
def test_a_file_in_another_encoding_is_named_with_a_way_out_that_works(
    mistakes: Callable[..., list[str]],
    rows: Callable[..., list[Row]],
    prompt: str,
    encoding: str,
    looks_like: str,
    line: str,
) -> None:
    content = (HEADER + f"a,{URLS},{prompt}\n").encode(encoding)
    way_out = f'save as "CSV UTF-8" or add --encoding {looks_like.lower()}'

    assert mistakes(content) == [f"night.csv{line}: not UTF-8 (looks like {looks_like}): {way_out}"]
    (row,) = rows(content, encoding=looks_like.lower())
    assert row.inputs["prompt"] == prompt


def test_bad_bytes_deep_in_a_file_are_found_with_their_line(mistakes: Callable[..., list[str]]) -> None:
    good = HEADER + f"a,{URLS},飞船\n" * 5000
    found = mistakes(good.encode() + f"b,{URLS},{CHINESE}\n".encode("gb18030"))

    assert found == [
        'night.csv:5002: not UTF-8 (looks like GB18030): save as "CSV UTF-8" or add --encoding gb18030'
    ]


def test_a_wrong_encoding_of_the_command_line_is_named_too(mistakes: Callable[..., list[str]]) -> None:
    (found,) = mistakes((HEADER + f"a,{URLS},{WESTERN!r}\n").encode(), encoding="ascii")

    assert found == 'night.csv:2: not ascii (looks like UTF-8): save as "CSV UTF-8" or add --encoding utf-8'


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
