"""The rows of a batch as they were last read: those that are known to change at once, all others by turns."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from batchfill.review.document import encode_json, pictures_of, row_object
from batchfill.review.pieces import index_entry

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from batchfill.domain.reports import ReviewRow
    from batchfill.review.source import ReviewSource
    from batchfill.review.thumbnails import Originals

MOST_AT_ONCE = 1000
"""Rows of either kind that one look reads, however many there are."""

MOST_AT_FIRST = 2500
"""Rows that one of the first looks reads."""


class LiveRow(NamedTuple):
    """What is held of a row: a few bytes, however long it is."""

    entry: str
    """What it is filtered and sorted by, as JSON."""
    pictures: int
    """Finished ones."""
    content: int
    """The hash of its JSON."""


class RowChanges(NamedTuple):
    """What a look found."""

    rows: Mapping[str, LiveRow]
    """Rows that are other ones now, or new, by their ids."""
    texts: Mapping[str, str]
    """The JSON of the first MOST_AT_ONCE of them."""
    gone: frozenset[str]


class LiveRows:
    """The rows by their ids. A look costs the same in a batch of a million as in a batch of a thousand.

    The first looks, which read every row once, each read as many as all those before them.
    """

    def __init__(self, source: ReviewSource, originals: Originals) -> None:
        self._source, self._originals = source, originals
        self._rows: dict[str, LiveRow] = {}
        self._place = 0
        """Of the manifest, from which the next look goes on."""
        self._left = 0
        """Places to read until each was read after the last change."""
        self.is_whole = False
        """Whether every row was read once."""
        self.pictures = 0

    @property
    def is_behind(self) -> bool:
        """Whether rows are left that were not read after the last change."""
        return self._left > 0

    def note_change(self) -> None:
        """Have every row read again in its turn."""
        self._left = self._source.places()

    def look(self, total: int) -> RowChanges:
        """Read rows that may have changed. *total*: how many rows the manifest has."""
        most = MOST_AT_ONCE if self.is_whole else max(MOST_AT_ONCE, min(len(self._rows), MOST_AT_FIRST))
        begun = self._place
        found, texts = dict[str, LiveRow](), dict[str, str]()
        for exhibit in chain(self._source.changed_rows(MOST_AT_ONCE), self._next_rows(most)):
            self._originals.learn(exhibit)
            id_, told = exhibit.result.id, row_object(exhibit)
            text = encode_json(told)
            row = LiveRow(encode_json(index_entry(told)), pictures_of(exhibit), hash(text))
            if self._rows.get(id_) != row:
                found[id_] = row
                if len(texts) < MOST_AT_ONCE:
                    texts[id_] = text
        is_round = self._place <= begun
        self.is_whole = self.is_whole or is_round
        known = len(self._rows) + sum(id_ not in self._rows for id_ in found)
        gone = self._missing() if is_round or (self.is_whole and total != known) else frozenset()
        return RowChanges(found, texts, gone)

    def take(self, changes: RowChanges) -> None:
        """Hold what a look found."""
        for id_ in changes.gone:
            self.pictures -= self._rows.pop(id_).pictures
        for id_, row in changes.rows.items():
            old = self._rows.get(id_)
            self.pictures += row.pictures - (old.pictures if old is not None else 0)
            self._rows[id_] = row

    def entries(self) -> list[str]:
        """Return the JSON of every row's entry."""
        return [row.entry for row in self._rows.values()]

    def entries_of(self, ids: Iterable[str]) -> list[str]:
        """Return the JSON of the entries of those of the rows that are there."""
        return [self._rows[id_].entry for id_ in ids if id_ in self._rows]

    def __contains__(self, id_: object) -> bool:
        return id_ in self._rows

    def _next_rows(self, most: int) -> Iterator[ReviewRow]:
        places = self._source.places()
        # The manifest may be shorter now.
        first = self._place if self._place < places else 0
        end = min(first + min(most, self._left), places)
        yield from self._source.rows_at(first, end)
        self._left = self._left - (end - first) if places else 0
        self._place = end if end < places else 0

    def _missing(self) -> frozenset[str]:
        return frozenset(self._rows.keys() - self._source.ids())
