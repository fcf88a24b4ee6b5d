"""Telling somebody far away how a run goes: at its end, at a stop, and when it stalls."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

import anyio

from batchfill.domain.progress import Event, News, Weight
from batchfill.errors import BatchfillError, NotTold, UsageError, alone
from batchfill.notify.stall import Stillness
from batchfill.run.run_log import telling
from batchfill.run.shutdown import REFUSED, WORK_LEFT

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from anyio.abc import TaskGroup

    from batchfill.domain.progress import Notice, Progress, Watcher
    from batchfill.domain.reports import Summary
    from batchfill.run.clock import Clock


class Receiver(Protocol):
    """Who is told."""

    async def post(self, news: News) -> None:
        """Tell *news*, within a few seconds. Raises NotTold."""


@dataclass(slots=True, kw_only=True)
class Notifier:
    """Tells *receiver* of a run. What cannot be told is a warning, and changes nothing."""

    receiver: Receiver
    manifest: str
    """The name of its file."""
    log: Path
    watcher: Watcher | None
    clock: Clock

    async def told(self, run: Callable[[Watcher], Awaitable[Summary]]) -> Summary:
        """Return what *run* returns, which is given who is to watch it, or raise what it raises.

        A run that was refused before it began is nobody's news.
        """
        watch = _Watch(self.watcher)
        try:
            summary = await self._told_of_stalls(run, watch)
        except BatchfillError as error:
            if watch.still is not None:
                await self._tell(_news(Event.STOPPED, self.manifest, watch.still.progress, str(error)))
            raise
        await self._tell(_last_news(self.manifest, summary))
        return summary

    async def _told_of_stalls(self, run: Callable[[Watcher], Awaitable[Summary]], watch: _Watch) -> Summary:
        with alone():
            async with anyio.create_task_group() as tasks:
                watch.on_stall = lambda still: self._begin_to_tell(tasks, still)
                summary = await run(watch)
                # What could not be told of a stall by now is overtaken by the end.
                tasks.cancel_scope.cancel()
        return summary

    def _begin_to_tell(self, tasks: TaskGroup, still: Stillness) -> None:
        reason = still.progress.waiting_for or "nothing was submitted and nothing ended"
        tasks.start_soon(self._tell, _news(Event.STALLED, self.manifest, still.progress, reason))

    async def _tell(self, news: News) -> None:
        try:
            await self.receiver.post(news)
        except NotTold as error:
            self._warn(f"--notify: {error}; that the run {news.event.value} was not told")

    def _warn(self, text: str) -> None:
        # The run's own hold on its log ends before the last news is told.
        with suppress(UsageError), telling(self.log, self.watcher, self.clock) as say:
            say.say(text, Weight.WARNING)


@dataclass(slots=True)
class _Watch:
    """A watcher that passes everything on, and notices a stall once."""

    onward: Watcher | None
    on_stall: Callable[[Stillness], object] = field(default=lambda _: None)
    still: Stillness | None = None
    """None until the run has begun."""

    def notice(self, notice: Notice) -> None:
        """Pass it on."""
        if self.onward:
            self.onward.notice(notice)

    def progress(self, progress: Progress) -> None:
        """Pass it on; call *on_stall* where nothing has moved for too long, once until something does."""
        if self.onward:
            self.onward.progress(progress)
        self.still = self.still.and_then(progress) if self.still else Stillness(progress)
        if self.still.is_stall and not self.still.told:
            self.still = replace(self.still, told=True)
            self.on_stall(self.still)


def _news(event: Event, manifest: str, progress: Progress, reason: str) -> News:
    return News(event, manifest, progress.counts, progress.cost, progress.elapsed, reason)


def _last_news(manifest: str, summary: Summary) -> News:
    event = Event.STOPPED if summary.exit_code in (WORK_LEFT, REFUSED) else Event.ENDED
    reason = summary.stopped_because if event is Event.STOPPED else None
    return News(event, manifest, summary.counts, summary.cost, summary.elapsed, reason)
