"""What was listed is found again, in whatever order it is asked for."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batchfill.domain.objects import ObjectFile
from batchfill.ledger.caches import object_listing
from batchfill.ledger.caches.object_listing import ObjectListing

if TYPE_CHECKING:
    from collections.abc import Iterator

ADDRESSES = [f"s3://b/{folder}{n}.png" for folder in ("a/", "a/b/", "a-/", "ä/", "") for n in range(6)]


def listed(address: str) -> ObjectFile:
    return ObjectFile(address, len(address), f"tag of {address}")


@settings(max_examples=200, deadline=None)
@given(st.sets(st.sampled_from(ADDRESSES)), st.lists(st.sampled_from(ADDRESSES), max_size=60))
def test_every_object_that_was_listed_is_found_and_no_other(there: set[str], asked: list[str]) -> None:
    with closing(ObjectListing()) as listing:
        with listing.adding():
            listing.add(map(listed, there))
        for address in (*asked, *sorted(asked)):
            assert listing.find(address) == (listed(address) if address in there else None)


def test_what_is_listed_in_between_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(object_listing, "_FOLDERS", 2)
    with closing(ObjectListing()) as listing:
        for n, address in enumerate(ADDRESSES):
            with listing.adding():
                listing.add([listed(address)])
            for known in ADDRESSES[: n + 1]:
                assert listing.find(known) == listed(known)
            assert not any(map(listing.find, ADDRESSES[n + 1 :]))


def test_a_listing_that_breaks_off_leaves_nothing_and_what_was_there_is_found() -> None:
    first, second, third, *_ = map(listed, sorted(ADDRESSES))
    with closing(ObjectListing()) as listing:
        with listing.adding():
            listing.add([first, third])
        assert listing.find(first.address) == first
        with pytest.raises(KeyError), listing.adding():
            listing.add(_one_and_then_nothing(second))
        assert [listing.find(one.address) for one in (second, third)] == [None, third]


def _one_and_then_nothing(one: ObjectFile) -> Iterator[ObjectFile]:
    yield one
    raise KeyError
