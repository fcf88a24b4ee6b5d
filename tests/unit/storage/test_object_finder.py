from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from typing import IO, TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchfill.domain.objects import ObjectFile
from batchfill.domain.rows import LARGEST
from batchfill.errors import MissingFile, NoAnswer, ObjectsRefused
from batchfill.storage import object_finder
from batchfill.storage.object_finder import ObjectFinder

if TYPE_CHECKING:
    from collections.abc import Iterator


class Shelves:
    """A storage in memory that counts its listings."""

    def __init__(self, *addresses: str, page: int = 1000) -> None:
        self.objects = {address: ObjectFile(address, 7, f"tag of {address}") for address in addresses}
        self.page = page
        self.listed: list[str] = []
        self.given = 0
        """How many objects were listed."""
        self.refuse: Callable[[str], Exception | None] = lambda prefix: None
        self.heeds_after = True

    def list_objects(self, prefix: str, *, after: str | None = None) -> Iterator[list[ObjectFile]]:
        self.listed.append(prefix)
        if error := self.refuse(prefix):
            raise error
        begin = after if after and self.heeds_after else ""
        below = sorted(a for a in self.objects if a.startswith(prefix) and a > begin)
        for n in range(0, len(below), self.page):
            page = [self.objects[address] for address in below[n : n + self.page]]
            self.given += len(page)
            yield page
            if error := self.refuse(f"{prefix} page {n // self.page + 1}"):
                raise error

    def read_object(self, wanted: ObjectFile, target: IO[bytes]) -> None:
        raise AssertionError("nothing is read to find an object")


Find = Callable[["Shelves", Iterable[str]], list[ObjectFile]]
Opened = Callable[["Shelves"], ObjectFinder]


@pytest.fixture
def opened() -> Iterator[Opened]:
    """Give what finds the objects of shelves, and lets go of what it knows at the end of the test."""
    with ExitStack() as stack:

        def opened(shelves: Shelves) -> ObjectFinder:
            finder = ObjectFinder(shelves)
            stack.callback(finder.close)
            return finder

        yield opened


@pytest.fixture
def find() -> Find:
    """Find several addresses, one after the other, as rows name them."""

    def find(shelves: Shelves, addresses: Iterable[str]) -> list[ObjectFile]:
        finder = ObjectFinder(shelves)
        try:
            return [finder.find_object(address) for address in addresses]
        finally:
            finder.close()

    return find


def test_one_listing_of_a_prefix_finds_every_object_in_it(
    find: Find,
) -> None:
    rows = [f"s3://b/{folder}/{n:04}.jpg" for n in range(2500) for folder in ("photos", "masks")]
    shelves = Shelves(*rows)

    found = find(shelves, rows)

    assert [one.address for one in found] == rows
    assert {one.etag for one in found} == {f"tag of {row}" for row in rows}
    assert shelves.listed == ["s3://b/photos/", "s3://b/masks/"]


def test_a_folder_for_each_row_is_listed_with_all_around_it(
    find: Find,
) -> None:
    rows = [f"s3://b/items/{n:05}/{name}" for n in range(3000) for name in ("photo.jpg", "mask.png")]
    shelves = Shelves(*rows)

    assert len(find(shelves, rows)) == len(rows)
    assert Counter(shelves.listed)["s3://b/items/"] == 1
    assert len(shelves.listed) == object_finder.FOLDERS + 1


def test_what_is_around_is_listed_in_pieces_where_it_is_too_large(
    find: Find, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(object_finder, "LARGEST_TREE", 500)
    rows = [f"s3://b/items/{n:05}/photo.jpg" for n in range(200)]
    shelves = Shelves(*rows, *(f"s3://b/items/zzz/{n}" for n in range(1000)), page=100)

    assert len(find(shelves, rows)) == len(rows)
    assert Counter(shelves.listed) == {
        **dict.fromkeys((f"{row[:-9]}" for row in rows), 1),
        "s3://b/items/": 1,
        "s3://b/": 1,
    }


def test_what_is_around_is_listed_in_pieces_where_rights_are_given_for_folders_alone(
    find: Find,
) -> None:
    rows = [f"s3://b/items/{n:05}/photo.jpg" for n in range(200)]
    shelves = Shelves(*rows)
    shelves.refuse = lambda prefix: ObjectsRefused("no") if prefix in ("s3://b/items/", "s3://b/") else None

    assert len(find(shelves, rows)) == len(rows)


def test_a_large_sub_folder_is_gone_by(find: Find, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(object_finder, "PASSED", 200)
    rows = ["s3://b/photos/a.jpg", "s3://b/photos/z.jpg"]
    shelves = Shelves(*rows, *(f"s3://b/photos/raw/{n:06}" for n in range(20_000)), page=100)

    assert len(find(shelves, rows)) == 2
    assert shelves.given < 1000


def test_a_storage_that_always_lists_from_the_beginning_is_not_asked_for_ever(
    find: Find, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(object_finder, "PASSED", 200)
    rows = ["s3://b/photos/a.jpg", "s3://b/photos/z.jpg"]
    shelves = Shelves(*rows, *(f"s3://b/photos/{sub}/{n:06}" for sub in "pq" for n in range(500)), page=100)
    shelves.heeds_after = False
    shelves.refuse = lambda prefix: ObjectsRefused("asked too often") if len(shelves.listed) > 2 else None

    assert len(find(shelves, rows)) == 2


KEYS = (
    st.lists(st.sampled_from("ab."), min_size=1, max_size=6)
    .map("/".join)
    .filter(lambda key: "." not in key.split("/"))
)


@given(st.sets(KEYS, min_size=1, max_size=60), st.integers(1, 7), st.integers(1, 12), st.integers(1, 4))
def test_each_object_is_found_and_no_other_however_they_lie(
    keys: set[str], page: int, passed: int, folders: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(object_finder, "PASSED", passed)
        patch.setattr(object_finder, "FOLDERS", folders)
        shelves = Shelves(*(f"s3://b/{key}" for key in keys), page=page)
        finder = ObjectFinder(shelves)

        for key in sorted(keys, key=hash):
            assert finder.find_object(f"s3://b/{key}") == shelves.objects[f"s3://b/{key}"]
            with pytest.raises(MissingFile):
                finder.find_object(f"s3://b/{key}.no")
        assert max(Counter(shelves.listed).values()) <= 2 + len(keys) // passed
        finder.close()


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("s3://b/photos/heros.jpg", "no such object s3://b/photos/heros.jpg; did you mean hero.jpg?"),
        ("s3://b/foto/a.jpg", "no such object s3://b/foto/a.jpg (there is nothing in s3://b/foto/)"),
        ("s3://b/photos/empty.jpg", "s3://b/photos/empty.jpg is an empty object"),
        (
            "s3://b/p/huge.jpg",
            "s3://b/p/huge.jpg has 513 MiB; at most 512 are taken: scale it down",
        ),
        ("s3://b/photos/", "s3://b/photos/ is a folder, not an object"),
    ],
)
def test_what_is_no_usable_object_is_told(opened: Opened, address: str, message: str) -> None:
    shelves = Shelves("s3://b/photos/hero.jpg")
    for name, size in (("photos/empty", 0), ("p/huge", LARGEST + 2**20)):
        place = f"s3://b/{name}.jpg"
        shelves.objects[place] = ObjectFile(place, size, "tag")
    finder = opened(shelves)

    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        finder.find_object(address)


@pytest.mark.parametrize("error", [ObjectsRefused("no rights"), NoAnswer("no answer")])
def test_a_folder_that_cannot_be_listed_is_asked_for_once_and_told_for_each_row(
    opened: Opened, error: Exception
) -> None:
    shelves = Shelves("s3://b/photos/a.jpg", "s3://b/photos/b.jpg", page=1)
    # In the middle of it: half a listing says nothing.
    shelves.refuse = lambda prefix: error if prefix.endswith("page 1") else None
    finder = opened(shelves)

    for name in ("a", "b", "a"):
        with pytest.raises(ValueError, match=str(error)):
            finder.find_object(f"s3://b/photos/{name}.jpg")
    assert shelves.listed == ["s3://b/photos/"]


@pytest.mark.parametrize(
    ("now", "holds"),
    [
        (ObjectFile("s3://b/x/a.jpg", 7, "tag"), True),
        (ObjectFile("s3://b/x/a.jpg", 7, "gat"), False),
        (ObjectFile("s3://b/x/a.jpg", 8, "tag"), False),
        (None, False),
    ],
)
def test_an_object_still_holds_while_its_listing_is_the_same(
    opened: Opened, now: ObjectFile | None, holds: bool
) -> None:
    shelves = Shelves()
    if now is not None:
        shelves.objects[now.address] = now

    assert opened(shelves).still_holds(ObjectFile("s3://b/x/a.jpg", 7, "tag")) is holds


@pytest.mark.parametrize("error", [ObjectsRefused("no rights"), NoAnswer("no answer")])
def test_a_bucket_that_cannot_be_listed_keeps_no_run_from_fetching_what_is_paid_for(
    opened: Opened, error: Exception
) -> None:
    shelves = Shelves()
    shelves.refuse = lambda prefix: error

    finder = opened(shelves)

    assert all(finder.still_holds(ObjectFile(f"s3://b/{n}/a.jpg", 7, "tag")) for n in range(50))
    assert len(shelves.listed) == 1


def test_a_bucket_that_does_not_answer_is_asked_for_one_folder_alone(opened: Opened) -> None:
    shelves = Shelves()
    shelves.refuse = lambda prefix: NoAnswer("no answer") if prefix.startswith("s3://b/") else None
    finder = opened(shelves)

    for n in range(50):
        with pytest.raises(ValueError, match="no answer"):
            finder.find_object(f"s3://b/{n}/a.jpg")
    with pytest.raises(MissingFile):
        finder.find_object("s3://other/a.jpg")
    assert shelves.listed == ["s3://b/0/", "s3://other/"]


def test_one_folder_without_rights_is_none_of_its_neighbours(opened: Opened) -> None:
    shelves = Shelves("s3://b/mine/a.jpg", "s3://b/yours/a.jpg")
    shelves.refuse = lambda prefix: ObjectsRefused("no rights") if "yours" in prefix else None
    finder = opened(shelves)

    with pytest.raises(ValueError, match="no rights"):
        finder.find_object("s3://b/yours/a.jpg")
    assert finder.find_object("s3://b/mine/a.jpg").size == 7


def test_a_full_disk_of_temporary_files_is_told(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    shelves = Shelves(*(f"s3://b/x/{n:05}.jpg" for n in range(5000)))
    finder = opened(shelves)
    finder.still_holds(ObjectFile("s3://other/x/a.jpg", 7, "tag"))
    assert finder._listing is not None
    finder._listing._db.execute("PRAGMA max_page_count = 5")

    with pytest.raises(ValueError, match="a listing cannot be kept among temporary files"):
        finder.find_object("s3://b/x/00000.jpg")
