"""The batch as the page knows it: read again whenever it changed, with what is new since any edition."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import anyio
from anyio import CapacityLimiter, to_thread

from batchfill.gallery.document import Document, document, written

if TYPE_CHECKING:
    from batchfill.gallery.pictures import Pictures
    from batchfill.gallery.source import Source

EVERY = 0.5
"""Seconds between two looks at whether anything changed."""

REST = 9
"""Times as long as the last reading took, for which the next one waits: reading takes a tenth of a core."""


class Book:
    """Editions of the document, counted from 1."""

    def __init__(self, source: Source, pictures: Pictures) -> None:
        self._source, self._pictures = source, pictures
        self._mark: object = None
        self._took = 0.0
        self._one_at_a_time = CapacityLimiter(1)
        self._news = anyio.Event()
        self._changed: dict[str, int] = {}
        """Row → the edition with which it changed last, or was gone."""
        self.edition = 0
        self.document = Document({}, {})

    async def follow(self) -> None:
        """Keep up with the batch until cancelled."""
        while True:
            await self.refresh()
            await anyio.sleep(max(EVERY, REST * self._took))

    async def refresh(self) -> None:
        """Read the batch again if it changed."""
        read = await to_thread.run_sync(self._read, limiter=self._one_at_a_time)
        if read is not None:
            self._publish(read)

    def text(self) -> str:
        """Return the whole JSON."""
        return self.document.text(edition=self.edition)

    async def wait_beyond(self, edition: int) -> None:
        """Return when there is a later edition."""
        while self.edition <= edition:
            await self._news.wait()

    def since(self, edition: int) -> tuple[int, str]:
        """Return the present edition and, as JSON, what changed after *edition*: head, rows, ids gone."""
        changed = [id_ for id_, when in self._changed.items() if when > edition]
        rows = self.document.rows
        more: dict[str, Any] = {"edition": self.edition, "gone": [id_ for id_ in changed if id_ not in rows]}
        return self.edition, written(
            {**self.document.head, **more}, [rows[id_] for id_ in changed if id_ in rows]
        )

    def _read(self) -> Document | None:
        mark = self._source.mark()
        if mark == self._mark:
            return None
        begun, self._mark = time.monotonic(), mark
        exhibits = self._pictures.learn(self._source.exhibits())
        read = document(self._source.status(), exhibits, list(self._source.history()))
        self._took = time.monotonic() - begun
        return read

    def _publish(self, new: Document) -> None:
        old, self.document = self.document, new
        self.edition += 1
        differing = {id_ for id_, row in new.rows.items() if old.rows.get(id_) != row}
        gone = old.rows.keys() - new.rows.keys()
        self._changed |= dict.fromkeys(differing | gone, self.edition)
        self._news.set()
        self._news = anyio.Event()
