"""How much may go inside a request, learned from what a service refuses."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from batchfill.domain.provider_facts import REPLICATE_API
from batchfill.run.submit.uploader import LEAST_INLINE, Uploader

SMALL, MAX_INLINE = REPLICATE_API.small_inline, REPLICATE_API.largest_inline


def uploader() -> Uploader:
    nothing: Any = None
    service: Any = SimpleNamespace(facts=REPLICATE_API)
    return Uploader(service, nothing, base="", log=nothing, clock=nothing)


@given(limit=st.integers(LEAST_INLINE, 2 * MAX_INLINE))
def test_requests_become_smaller_until_they_are_taken_and_not_much_smaller(limit: int) -> None:
    found = uploader()
    sent = found.largest
    while sent > limit and found.shrink(["x" * sent, "x" * 10]):
        assert found.largest < sent
        sent = found.largest
    assert sent <= limit
    assert sent >= min(limit * 3 // 4, MAX_INLINE)
    assert found.small == min(SMALL, found.largest)


def test_a_request_that_was_small_anyway_teaches_nothing() -> None:
    found = uploader()
    assert not found.shrink([])
    assert not found.shrink(["x" * LEAST_INLINE])
    assert (found.largest, found.small) == (MAX_INLINE, SMALL)


def test_two_requests_that_were_under_way_shrink_the_next_once() -> None:
    found = uploader()
    assert found.shrink(["x" * 800_000])
    assert found.shrink(["x" * 800_000])
    assert found.largest == 600_000
