"""The batch as the page knows it, in editions; what changed is read again, and told since any edition."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import anyio
from anyio import CapacityLimiter, to_thread

from batchfill.review.document import (
    course_object,
    encode_document,
    encode_json,
    head_object,
    row_object,
    words_object,
)
from batchfill.review.live_rows import MOST_AT_ONCE, LiveRows, RowChanges
from batchfill.review.pieces import INDEX_ROWS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence

    from batchfill.domain.reports import ReviewRow, Status
    from batchfill.review.pages import Pages
    from batchfill.review.source import ReviewSource
    from batchfill.review.thumbnails import Originals

T = TypeVar("T")

SLICE = 1000
"""Rows that are read at once for all of them."""

REFRESH_INTERVAL = 0.5
"""Seconds between two looks at whether anything changed."""

REST = 9
"""Times the CPU time of the last look, for which the next one waits: looking takes a tenth of a core."""

COURSE_REST = 29
"""The same for how the batch went, which is told of all attempts: a thirtieth."""


class _Look(NamedTuple):
    """What a look at a batch that changed has found."""

    status: Status
    course: Mapping[str, Any]
    changes: RowChanges


class Feed:
    """Editions of the document, counted from 1."""

    def __init__(self, source: ReviewSource, originals: Originals, pages: Pages) -> None:
        self._source, self._originals, self._pages = source, originals, pages
        self._rows = LiveRows(source, originals)
        self._course = _Course(source)
        self._mark: object = None
        self._noted: Mapping[str, int] = {}
        """Page → the number of its last decision that the document holds."""
        self._took = 0.0
        self._one_at_a_time = CapacityLimiter(1)
        self._news = anyio.Event()
        self._changed: dict[str, int] = {}
        """Row → the edition with which it changed last, or was gone; the latest ones last."""
        self._texts: dict[str, str] = {}
        """The JSON of the rows that changed last, MOST_AT_ONCE at most; the latest ones last."""
        self._head: Mapping[str, Any] = {}
        self.version = 0

    async def follow(self) -> None:
        """Keep up with the batch until cancelled."""
        while True:
            await self.refresh()
            # All is read once without a pause.
            await anyio.sleep(max(REFRESH_INTERVAL, REST * self._took) if self._rows.is_whole else 0)

    async def refresh(self) -> None:
        """Read what changed, or the next of what was never read."""
        # Asked for first: what is on disk before the reading begins is in what it reads.
        noted = self._pages.noted()
        look = await self._ask(self._look)
        if look is not None or noted != self._noted:
            self._publish(look, noted)

    def head(self, page: str) -> dict[str, Any]:
        """Return everything but the rows, for *page*."""
        more = {"folder": str(self._source.folder.resolve()), "page": page}
        return {**self._head, **more, "edition": self.version, "noted": self._noted.get(page, 0)}

    def index(self) -> Iterator[str]:
        """Yield the entries of all rows that were read so far as JSON lists, INDEX_ROWS in each.

        Rows that were not are among the changes after the present edition.
        """
        entries = self._rows.entries()
        for first in range(0, len(entries), INDEX_ROWS):
            yield f"[{','.join(entries[first : first + INDEX_ROWS])}]"

    async def rows_named(self, ids: Sequence[str]) -> list[str]:
        """Return the JSON of those of the rows with these *ids* that are there."""
        return await self._ask(lambda: self._read_rows(self._source.rows_named(ids)))

    async def texts(self) -> AsyncIterator[list[str]]:
        """Yield the JSON of every row, SLICE at a time, in the manifest's order."""
        for first, end in await self._slices():
            if rows := await self._ask(partial(self._read_at, first, end)):
                yield rows

    async def words(self) -> AsyncIterator[str]:
        """Yield what all rows are searched by, by their ids, as JSON objects, SLICE rows at a time."""
        for first, end in await self._slices():
            words = await self._ask(partial(self._source.words_at, first, end))
            yield encode_json({id_: words_object(row) for id_, row in words.items()})

    async def wait_beyond(self, edition: int) -> None:
        """Return when there is a later edition."""
        while self.version <= edition:
            await self._news.wait()

    def since(self, edition: int, page: str) -> tuple[int, str]:
        """Return the present edition and, as JSON for *page*, what changed after *edition*.

        That is the head, rows, and ids of those that are gone.
        """
        changed = []
        for id_, when in reversed(self._changed.items()):
            if when <= edition:
                break
            changed.append(id_)
        more: dict[str, Any] = {
            "edition": self.version,
            "noted": self._noted.get(page, 0),
            "gone": [id_ for id_ in changed if id_ not in self._rows],
        }
        head, told = {**self._head, **more}, [self._texts[id_] for id_ in changed if id_ in self._texts]
        brief = self._rows.entries_of(id_ for id_ in changed if id_ not in self._texts)
        return self.version, encode_document(head, told, brief)

    async def _ask(self, question: Callable[[], T]) -> T:
        """Return the answer to a *question* about the source, which is asked by one thread at a time."""
        return await to_thread.run_sync(question, limiter=self._one_at_a_time)

    async def _slices(self) -> list[tuple[int, int]]:
        places = await self._ask(self._source.places)
        return [(first, min(first + SLICE, places)) for first in range(0, places, SLICE)]

    def _read_at(self, first: int, end: int) -> list[str]:
        return self._read_rows(self._source.rows_at(first, end))

    def _read_rows(self, rows: Iterable[ReviewRow]) -> list[str]:
        texts = []
        for exhibit in rows:
            self._originals.learn(exhibit)
            texts.append(encode_json(row_object(exhibit)))
        return texts

    def _look(self) -> _Look | None:
        """Read what may have changed; None where nothing did."""
        begun = time.thread_time()
        was_whole, mark = self._rows.is_whole, self._source.mark()
        is_changed, self._mark = mark != self._mark, mark
        if is_changed:
            self._rows.note_change()
        status = self._source.status() if is_changed or self._rows.is_behind else None
        changes = _NOTHING if status is None else self._rows.look(sum(status.counts.values()))
        self._took = time.thread_time() - begun if was_whole else 0.0
        is_later = self._rows.is_whole and self._course.read(mark)
        if not (is_changed or is_later or changes.rows or changes.gone):
            return None
        return _Look(status or self._source.status(), self._course.told, changes)

    def _publish(self, look: _Look | None, noted: Mapping[str, int]) -> None:
        self.version += 1
        self._noted = noted
        if look is not None:
            self._rows.take(look.changes)
            pictures = self._rows.pictures if self._rows.is_whole else None
            self._head = head_object(look.status, look.course, pictures)
            _move_to_end(self._changed, dict.fromkeys((*look.changes.rows, *look.changes.gone), self.version))
            self._note_texts(look.changes)
        self._news.set()
        self._news = anyio.Event()

    def _note_texts(self, changes: RowChanges) -> None:
        for id_ in (*changes.rows, *changes.gone):
            self._texts.pop(id_, None)
        self._texts.update(changes.texts)
        for id_ in list(self._texts)[:-MOST_AT_ONCE]:
            del self._texts[id_]


def _move_to_end(held: dict[str, int], news: Mapping[str, int]) -> None:
    for id_ in news:
        held.pop(id_, None)
    held.update(news)


_NOTHING = RowChanges({}, {}, frozenset())


class _Course:
    """How the batch went: of all attempts, so that it is told less often the longer they take to read."""

    def __init__(self, source: ReviewSource) -> None:
        self._source = source
        self._mark: object = None
        self._due = 0.0
        self.told: Mapping[str, Any] = course_object([])

    def read(self, mark: object) -> bool:
        """Read it again where it is another one, by *mark*, and that is due; return whether it was read."""
        if mark == self._mark or time.monotonic() < self._due:
            return False
        begun = time.thread_time()
        self._mark, self.told = mark, course_object(list(self._source.history()))
        self._due = time.monotonic() + COURSE_REST * (time.thread_time() - begun)
        return True
