from __future__ import annotations

import gzip
import json
import zlib
from typing import TYPE_CHECKING

import brotli
import pytest
import zstandard

from batchfill.providers.wire.codings import TooLong, to_utf8, unpack_body

if TYPE_CHECKING:
    from collections.abc import Callable

ANSWER = json.dumps({"id": "p1", "logs": "done " * 20_000}).encode()
LONGEST = 200_000


def _bare_deflate(body: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(body) + packer.flush()


PACK: dict[str, Callable[[bytes], bytes]] = {
    "br": brotli.compress,
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "deflate": zlib.compress,
    "zstd": zstandard.compress,
}
CODINGS = pytest.mark.parametrize("coding", PACK)


@CODINGS
def test_every_coding_is_unpacked(coding: str) -> None:
    assert unpack_body(PACK[coding](ANSWER), [coding.upper()], LONGEST) == ANSWER


def test_deflate_is_known_in_its_bare_form() -> None:
    assert unpack_body(_bare_deflate(ANSWER), ["deflate"], LONGEST) == ANSWER


@CODINGS
@pytest.mark.parametrize(
    "body", [ANSWER, b"", '{"logs":"任务"}'.encode()], ids=["long", "empty", "not ASCII"]
)
def test_text_under_a_false_label_is_taken_as_it_is(coding: str, body: bytes) -> None:
    assert unpack_body(body, [coding], LONGEST) == body


@CODINGS
def test_a_packed_answer_under_another_label_is_left_to_its_reader(coding: str) -> None:
    packed = bytes(range(128, 256)) * 4
    assert unpack_body(packed, [coding], LONGEST)


@pytest.mark.parametrize("coding", sorted(PACK.keys() - {"zstd"}))
def test_what_came_of_a_cut_answer_is_unpacked(coding: str) -> None:
    packed = PACK[coding](ANSWER)
    assert unpack_body(packed[:-4], [coding], LONGEST).startswith(b'{"id": "p1"')


@CODINGS
def test_an_answer_that_grows_too_long_is_refused(coding: str) -> None:
    with pytest.raises(TooLong):
        unpack_body(PACK[coding](bytes(10 * LONGEST)), [coding], LONGEST)


def test_layers_are_taken_off_from_the_last_to_the_first() -> None:
    packed = gzip.compress(brotli.compress(ANSWER))
    assert unpack_body(packed, ["br", "gzip"], LONGEST) == ANSWER
    assert unpack_body(packed, ["br, identity, gzip"], LONGEST) == ANSWER


def test_a_bomb_of_many_layers_is_not_unpacked_to_its_end() -> None:
    packed = bytes(100_000)
    for _ in range(10):
        packed = gzip.compress(packed)
    assert len(unpack_body(packed, ["gzip"] * 10, LONGEST)) < LONGEST


TEXT = '{"logs":"任务已提交"}'


@pytest.mark.parametrize(
    ("charset", "label"),
    [
        ("gbk", "application/json; charset=gbk"),
        ("gb18030", "application/json"),
        ("utf-8", "application/json; charset=gbk2312-unknown"),
        ("utf-8", "application/json"),
        ("big5", 'text/plain; Charset="Big5"'),
        ("euc_jp", "application/json;charset=EUC-JP"),
    ],
)
def test_text_comes_in_utf_8(charset: str, label: str) -> None:
    text = TEXT if charset != "euc_jp" else '{"logs":"完了"}'
    text = text.replace("务", "務").replace("任務已", "任務") if charset == "big5" else text
    assert to_utf8(text.encode(charset), label).decode() == text


@pytest.mark.parametrize("charset", ["utf-16", "utf-8-sig"])
def test_a_byte_order_mark_says_more_than_a_label(charset: str) -> None:
    body = TEXT.encode(charset)
    assert json.loads(to_utf8(body, "application/json; charset=latin-1")) == json.loads(TEXT)


def test_what_is_no_text_stays_as_it_is() -> None:
    body = b"\x80\xff{}"
    assert to_utf8(body, "application/json") == body
