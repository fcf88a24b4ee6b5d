"""The rows of a batch that changes while it is read."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchfill.domain.reports import Result, ReviewRow
from batchfill.domain.rows import RowState
from batchfill.review import live_rows
from batchfill.review.live_rows import LiveRows
from batchfill.review.thumbnails import Originals

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SLICE = 10


class Manifest:
    """Rows in a list, which may say that they changed, or not."""

    folder: Path

    def __init__(self, *ids: str) -> None:
        self.rows = dict.fromkeys(ids, "p")
        self.told: list[str] = []
        self.read = 0

    def places(self) -> int:
        return len(self.rows)

    def rows_at(self, first: int, end: int) -> Iterator[ReviewRow]:
        yield from map(self._row, list(self.rows)[first:end])

    def changed_rows(self, most: int) -> Iterator[ReviewRow]:
        told, self.told = self.told[:most], self.told[most:]
        yield from (self._row(id_) for id_ in told if id_ in self.rows)

    def ids(self) -> set[str]:
        return set(self.rows)

    def truth(self) -> list[tuple[str, str]]:
        return list(self.rows.items())

    def _row(self, id_: str) -> ReviewRow:
        self.read += 1
        fields: dict[str, Any] = dict.fromkeys(Result.__slots__)
        fields |= {"id": id_, "state": RowState.PENDING, "prompt": self.rows[id_], "image": "", "mask": ""}
        fields["extra"] = fields["changed_inputs"] = {}
        fields["line"] = list(self.rows).index(id_)
        return ReviewRow(Result(**fields), {}, (), (), None, None)


@pytest.fixture(autouse=True)
def slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_rows, "MOST_AT_ONCE", SLICE)


class Reading:
    """A manifest that is followed."""

    def __init__(self, *ids: str) -> None:
        self.manifest = Manifest(*ids)
        source: Any = self.manifest
        self.rows = LiveRows(source, Originals())
        self.page: dict[str, str] = {}
        """What a page knows that asks for the rows that were found to be other ones."""
        self.cost = 0
        self.change()
        while not self.rows.is_whole:
            self.look()

    def change(self) -> None:
        """Let it be seen that something changed."""
        self.rows.note_change()

    def look(self) -> set[str]:
        """Look once, and return the rows that were found to be other ones."""
        before = self.manifest.read
        changes = self.rows.look(len(self.manifest.rows))
        self.rows.take(changes)
        self.cost = self.manifest.read - before
        for id_ in changes.gone:
            del self.page[id_]
        self.page |= {id_: self.manifest.rows[id_] for id_ in changes.rows}
        assert all(json.loads(text)["prompt"] == self.page[id_] for id_, text in changes.texts.items())
        return {*changes.rows, *changes.gone}

    def shown(self) -> list[tuple[str, str]]:
        entries = sorted(map(json.loads, self.rows.entries()), key=lambda entry: entry[1])
        return [(entry[0], self.page[entry[0]]) for entry in entries]


def numbered(number: int) -> list[str]:
    return [f"r{n:03}" for n in range(number)]


def test_a_look_reads_a_few_after_the_first_ones_which_read_all_in_growing_steps() -> None:
    reading = Reading()
    reading.manifest.rows = dict.fromkeys(numbered(95), "p")
    reading.rows.is_whole = False
    reading.change()
    costs = []
    while not reading.rows.is_whole:
        reading.look()
        costs.append(reading.cost)
    assert costs == [10, 10, 20, 40, 15]
    reading.manifest.rows["r090"] = "other"
    reading.manifest.told = ["r090"]
    reading.change()
    assert reading.look() == {"r090"}
    assert reading.cost == 1 + SLICE


def test_of_what_changed_at_once_only_so_much_is_told_whole() -> None:
    reading = Reading(*numbered(25))
    reading.manifest.rows = dict.fromkeys(reading.manifest.rows, "other")
    reading.manifest.told = list(reversed(reading.manifest.rows))
    reading.change()
    changes = reading.rows.look(25)
    assert (len(changes.rows), list(changes.texts)) == (2 * SLICE, numbered(25)[: -SLICE - 1 : -1])


def test_what_does_not_say_that_it_changed_is_found_in_its_turn() -> None:
    reading = Reading(*numbered(95))
    reading.manifest.rows["r090"] = "other"
    reading.change()
    found = [reading.look() for _ in range(10)]
    assert found == [set()] * 9 + [{"r090"}]
    assert not reading.rows.is_behind


def test_a_thousand_that_changed_at_once_come_in_several_looks() -> None:
    reading = Reading(*numbered(95))
    reading.manifest.rows = dict.fromkeys(reading.manifest.rows, "other")
    reading.manifest.told = list(reversed(reading.manifest.rows))
    reading.change()
    assert len(reading.look()) == 2 * SLICE
    assert reading.cost == 2 * SLICE


def test_a_row_that_is_gone_is_missed_at_once_where_their_number_says_so() -> None:
    reading = Reading(*numbered(95))
    del reading.manifest.rows["r050"]
    reading.change()
    assert reading.look() == {"r050"}


CHANGES = st.lists(
    st.tuples(
        st.sampled_from(["add", "remove", "edit", "rename", "turn", "tell", "look"]),
        st.integers(0, 60),
    ),
    max_size=25,
)


@given(CHANGES)
def test_whatever_happens_between_looks_the_page_has_the_manifest_in_the_end(
    changes: list[tuple[str, int]],
) -> None:
    reading = Reading(*numbered(34))
    manifest = reading.manifest
    for number, (what, place) in enumerate(changes):
        ids = list(manifest.rows)
        id_ = ids[place % len(ids)] if ids else ""
        if what == "look":
            reading.look()
            continue
        if what == "add":
            manifest.rows = {f"new{number}": "p", **manifest.rows}
        elif id_ and what == "remove":
            del manifest.rows[id_]
        elif id_ and what == "rename":
            manifest.rows = {f"r-{number}" if one == id_ else one: p for one, p in manifest.rows.items()}
        elif id_ and what in ("edit", "tell"):
            manifest.rows[id_] = f"other {number}"
            manifest.told += [id_] * (what == "tell")
        elif what == "turn":
            manifest.rows = dict(reversed(manifest.rows.items()))
        reading.change()
    for _ in range(10):
        reading.look()
    assert reading.shown() == manifest.truth()
