"""The batch as the page knows it: read again whenever it changed, with what is new since any edition."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import anyio
from anyio import CapacityLimiter, to_thread

from batchfill.review.document import Document, encode_document, make_document

if TYPE_CHECKING:
    from collections.abc import Mapping

    from batchfill.review.pages import Pages
    from batchfill.review.source import ReviewSource
    from batchfill.review.thumbnails import Thumbnails

REFRESH_INTERVAL = 0.5
"""Seconds between two looks at whether anything changed."""

REST = 9
"""Times as long as the last reading took, for which the next one waits: reading takes a tenth of a core."""


class Feed:
    """Editions of the document, counted from 1."""

    def __init__(self, source: ReviewSource, pictures: Thumbnails, pages: Pages) -> None:
        self._source, self._pictures, self._pages = source, pictures, pages
        self._mark: object = None
        self._noted: Mapping[str, int] = {}
        """Page → the number of its last decision that the document holds."""
        self._took = 0.0
        self._one_at_a_time = CapacityLimiter(1)
        self._news = anyio.Event()
        self._changed: dict[str, int] = {}
        """Row → the edition with which it changed last, or was gone."""
        self.version = 0
        self.document = Document({}, {})

    async def follow(self) -> None:
        """Keep up with the batch until cancelled."""
        while True:
            await self.refresh()
            await anyio.sleep(max(REFRESH_INTERVAL, REST * self._took))

    async def refresh(self) -> None:
        """Read the batch again if it changed."""
        # Asked for first: what is on disk before the reading begins is in what it reads.
        noted = self._pages.noted()
        read = await to_thread.run_sync(self._read_document, limiter=self._one_at_a_time)
        if read is not None or noted != self._noted:
            self._publish_document(read, noted)

    def text(self, page: str) -> str:
        """Return the whole JSON, for *page*."""
        more = {"folder": str(self._source.folder.resolve()), "page": page}
        return self.document.text(**more, edition=self.version, noted=self._noted.get(page, 0))

    async def wait_beyond(self, edition: int) -> None:
        """Return when there is a later edition."""
        while self.version <= edition:
            await self._news.wait()

    def since(self, edition: int, page: str) -> tuple[int, str]:
        """Return the present edition and, as JSON for *page*, what changed after *edition*.

        That is the head, rows, and ids of those that are gone.
        """
        changed = [id_ for id_, when in self._changed.items() if when > edition]
        rows = self.document.rows
        more: dict[str, Any] = {
            "edition": self.version,
            "noted": self._noted.get(page, 0),
            "gone": [id_ for id_ in changed if id_ not in rows],
        }
        return self.version, encode_document(
            {**self.document.head, **more}, [rows[id_] for id_ in changed if id_ in rows]
        )

    def _read_document(self) -> tuple[Document, set[str]] | None:
        """Return the batch and the rows that are other ones now; None where nothing changed."""
        mark = self._source.mark()
        if mark == self._mark:
            return None
        begun, self._mark = time.monotonic(), mark
        exhibits = self._pictures.learn_files(self._source.review_rows())
        read = make_document(self._source.status(), exhibits, list(self._source.history()))
        changed = _differing(self.document.rows, read.rows)
        self._took = time.monotonic() - begun
        return read, changed

    def _publish_document(self, read: tuple[Document, set[str]] | None, noted: Mapping[str, int]) -> None:
        self.version += 1
        self._noted = noted
        if read is not None:
            self.document, changed = read
            self._changed |= dict.fromkeys(changed, self.version)
        self._news.set()
        self._news = anyio.Event()


def _differing(old: Mapping[str, str], new: Mapping[str, str]) -> set[str]:
    """Return the ids of rows that are other ones, new or gone."""
    differing = {id_ for id_, row in new.items() if old.get(id_) != row}
    return differing | (old.keys() - new.keys())
