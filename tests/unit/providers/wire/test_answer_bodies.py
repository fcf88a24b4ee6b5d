"""Bodies come in pieces that end anywhere; the parser gets them whole and nothing behind them."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchfill.providers.wire.answer_bodies import LONGEST_LINE, ChunkedBody, CountedBody

if TYPE_CHECKING:
    from batchfill.providers.wire.answer_bodies import Body

ENDS = st.sampled_from([b"\n", b"\r\n"])


def fed(body: Body, content: bytes, cuts: list[int]) -> bytes:
    """Return what the parser gets of *content*, cut at *cuts*."""
    places = [0, *sorted(cut % (len(content) + 1) for cut in cuts), len(content)]
    return b"".join(body.take(content[left:right]) for left, right in pairwise(places))


@given(
    st.lists(
        st.tuples(st.binary(min_size=1, max_size=40), ENDS, ENDS, st.sampled_from([b"", b" ", b";a=b"]))
    ),
    st.lists(st.sampled_from([b"X-Sum: 1", b"y: z"]), max_size=2),
    ENDS,
    st.binary(max_size=5),
    st.lists(st.integers(0, 500), max_size=8),
)
def test_chunks_are_written_as_the_rules_have_them(
    chunks: list[tuple[bytes, bytes, bytes, bytes]],
    fields: list[bytes],
    end: bytes,
    behind: bytes,
    cuts: list[int],
) -> None:
    written = b"".join(b"%X" % len(data) + more + one + data + two for data, one, two, more in chunks)
    trailer = b"0" + end + b"".join(field + end for field in fields) + end
    body = ChunkedBody()

    given = fed(body, written + trailer + behind, cuts)

    ruled = b"".join(b"%x\r\n%b\r\n" % (len(data), data) for data, *_ in chunks)
    assert given == ruled + b"0\r\n\r\n"
    assert (body.ended, body.overrun) == (True, bool(behind))


@pytest.mark.parametrize(
    "content",
    [
        b"zz\r\nabc",
        b"\r\n3\r\nabc",
        b"-3\r\nabc",
        b"0x3\r\nabc",
        b"12345678901234567\r\nabc",
        b"3\r\nabcd\r\n0\r\n\r\n",
        b"5" + b" " * LONGEST_LINE + b"abcde",
    ],
)
def test_what_are_no_chunks_is_left_to_the_parser(content: bytes) -> None:
    body = ChunkedBody()

    given = fed(body, content + b" and more", list(range(1, len(content), len(content) // 4)))

    assert given.endswith(re.split(rb"\r\n", content)[-1] + b" and more")
    assert not body.ended


@pytest.mark.parametrize(
    "content", [b"zz", b"-", b" g", b"3 3", b"12345678901234567", b"3\r\nabc\n\nx", b"3\nabcd"]
)
def test_what_cannot_become_a_chunk_is_not_waited_for(content: bytes) -> None:
    """Its line may never end, on a connection that stays open."""
    given = fed(ChunkedBody(), content, list(range(1, len(content))))

    assert given.endswith(content[-1:])


@given(st.binary(max_size=60), st.integers(0, 80), st.lists(st.integers(0, 80), max_size=5))
def test_a_counted_body_ends_where_its_length_says(content: bytes, length: int, cuts: list[int]) -> None:
    body = CountedBody(length)

    assert fed(body, content, cuts) == content[:length]
    assert (body.ended, body.overrun) == (len(content) >= length, len(content) > length)
