"""Who listens to a run.

*Ears* keep what a run says, and let a test wait for a word.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from batchfill.domain.progress import LogEvent, Progress
    from batchfill.domain.reports import Summary


class Ears:
    """Hears what a run says, and lets a test wait for a word: `run(watch=ears)`."""

    def __init__(self) -> None:
        self.notices: list[LogEvent] = []
        self.waits: set[str] = set()
        """All that submitting waited for."""
        self.last: Progress | None = None
        """The last report of progress."""
        self._news = asyncio.Event()

    @property
    def texts(self) -> list[str]:
        """What was said, without its weight."""
        return [notice.text for notice in self.notices]

    def notice(self, notice: LogEvent) -> None:
        """Keep a notice."""
        self.notices.append(notice)
        self._news.set()

    def progress(self, progress: Progress) -> None:
        """Keep what submitting waits for, and the report."""
        self.last = progress
        self.waits.add(progress.waiting_for or "")
        self._news.set()

    async def hear(self, text: str, running: asyncio.Future[Summary]) -> None:
        """Return when a notice holds *text*, or submitting waits for it; before the run ends."""
        while not any(text in said for said in (*self.texts, *self.waits)):
            assert not running.done(), await running
            self._news.clear()
            events: set[asyncio.Future[Any]] = {running, asyncio.ensure_future(self._news.wait())}
            await asyncio.wait(events, return_when=asyncio.FIRST_COMPLETED)


@pytest.fixture
def ears() -> Ears:
    """See Ears."""
    return Ears()
