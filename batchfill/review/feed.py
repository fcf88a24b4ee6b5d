"""The batch as the page knows it, in editions; what changed is read again, and told since any edition."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NamedTuple

import anyio
from anyio import CapacityLimiter, to_thread

from batchfill.review.document import course_object, encode_document, head_object
from batchfill.review.live_rows import LiveRows, RowChanges

if TYPE_CHECKING:
    from collections.abc import Mapping

    from batchfill.domain.reports import Status
    from batchfill.review.pages import Pages
    from batchfill.review.source import ReviewSource
    from batchfill.review.thumbnails import Originals

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
        self._source, self._pages = source, pages
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
        self._head: Mapping[str, Any] = {}
        self.version = 0

    async def follow(self) -> None:
        """Keep up with the batch until cancelled."""
        while True:
            await self.refresh()
            await anyio.sleep(max(REFRESH_INTERVAL, REST * self._took))

    async def refresh(self) -> None:
        """Read what changed, the first time all."""
        # Asked for first: what is on disk before the reading begins is in what it reads.
        noted = self._pages.noted()
        look = await to_thread.run_sync(self._look, limiter=self._one_at_a_time)
        if look is not None or noted != self._noted:
            self._publish(look, noted)

    def text(self, page: str) -> str:
        """Return the whole JSON, for *page*."""
        more = {"folder": str(self._source.folder.resolve()), "page": page}
        head = {**self._head, **more, "edition": self.version, "noted": self._noted.get(page, 0)}
        return encode_document(head, self._rows.texts())

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
        return self.version, encode_document({**self._head, **more}, self._rows.texts_of(changed))

    def _look(self) -> _Look | None:
        """Read what may have changed; None where nothing did."""
        begun = time.thread_time()
        is_first, mark = self.version == 0, self._source.mark()
        is_changed, self._mark = mark != self._mark, mark
        if is_changed:
            self._rows.note_change()
        status = self._source.status() if is_changed or self._rows.is_behind else None
        changes = _NOTHING if status is None else self._rows.look(sum(status.counts.values()))
        # All is read once only, before the page is there.
        self._took = 0.0 if is_first else time.thread_time() - begun
        is_later = self._course.read(mark)
        if not (is_changed or is_later or changes.rows or changes.gone):
            return None
        return _Look(status or self._source.status(), self._course.told, changes)

    def _publish(self, look: _Look | None, noted: Mapping[str, int]) -> None:
        self.version += 1
        self._noted = noted
        if look is not None:
            self._rows.take(look.changes)
            self._head = head_object(look.status, look.course, self._rows.pictures)
            for id_ in (*look.changes.rows, *look.changes.gone):
                self._changed.pop(id_, None)
                self._changed[id_] = self.version
        self._news.set()
        self._news = anyio.Event()


_NOTHING = RowChanges({}, frozenset())


class _Course:
    """How the batch went: of all attempts, so that it is told less often the longer they take to read."""

    def __init__(self, source: ReviewSource) -> None:
        self._source = source
        self._mark: object = None
        self._due = 0.0
        self.told: Mapping[str, Any] = {}

    def read(self, mark: object) -> bool:
        """Read it again where it is another one, by *mark*, and that is due; return whether it was read."""
        if mark == self._mark or time.monotonic() < self._due:
            return False
        begun = time.thread_time()
        self._mark, self.told = mark, course_object(list(self._source.history()))
        self._due = time.monotonic() + COURSE_REST * (time.thread_time() - begun)
        return True
