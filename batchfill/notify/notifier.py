"""Telling a receiver far away how a run goes: at its end, at a stop, and when it stalls."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

import anyio

from batchfill.clock import SystemClock
from batchfill.domain.exit_codes import ExitCode
from batchfill.domain.progress import TEXT_LOG, Level, LogStyle, Notification, NotificationKind
from batchfill.errors import BatchfillError, NotifyError, UsageError, unwrap_single
from batchfill.notify.end_command import EndCommand
from batchfill.notify.stall import StallDetector
from batchfill.notify.webhook import Webhook
from batchfill.settings.addresses import is_webhook
from batchfill.storage.run_log import RUN_LOG, open_run_log

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence
    from pathlib import Path

    from anyio.abc import TaskGroup

    from batchfill.clock import Clock
    from batchfill.domain.progress import LogEvent, Progress, ProgressListener
    from batchfill.domain.reports import Summary
    from batchfill.settings.settings import Settings


class Receiver(Protocol):
    """Who is told."""

    failure: str
    """What is said of a NotifyError, with `{error}` and `{event}`."""

    async def post(self, news: Notification) -> None:
        """Tell *news*. Raises NotifyError."""


@dataclass(slots=True, kw_only=True)
class Notifier:
    """Tells *receivers* of a run, in turn. What cannot be told is a warning, and changes nothing."""

    receivers: Sequence[Receiver]
    manifest: str
    """The name of its file."""
    log: Path
    watcher: ProgressListener | None
    clock: Clock
    style: LogStyle = TEXT_LOG

    async def run_and_notify(self, run: Callable[[ProgressListener], Awaitable[Summary]]) -> Summary:
        """Return what *run* returns, which is given who is to watch it, or raise what it raises.

        A run that was refused before it began is not told.
        """
        watch = _Watch(self.watcher)
        try:
            summary = await self._told_of_stalls(run, watch)
        except BatchfillError as error:
            if watch.still is not None:
                await self._send_notification(
                    _make_notification(
                        NotificationKind.STOPPED, self.manifest, watch.still.progress, str(error)
                    )
                )
            raise
        await self._send_notification(_last_news(self.manifest, summary))
        return summary

    async def _told_of_stalls(
        self, run: Callable[[ProgressListener], Awaitable[Summary]], watch: _Watch
    ) -> Summary:
        with unwrap_single():
            async with anyio.create_task_group() as tasks:
                watch.on_stall = lambda still: self._begin_to_tell(tasks, still)
                summary = await run(watch)
                # What could not be told of a stall by now is overtaken by the end.
                tasks.cancel_scope.cancel()
        return summary

    def _begin_to_tell(self, tasks: TaskGroup, still: StallDetector) -> None:
        reason = still.progress.waiting_for or "nothing was submitted and nothing ended"
        tasks.start_soon(
            self._send_notification,
            _make_notification(NotificationKind.STALLED, self.manifest, still.progress, reason),
        )

    async def _send_notification(self, news: Notification) -> None:
        for receiver in self.receivers:
            try:
                await receiver.post(news)
            except NotifyError as error:
                self._warn_user(receiver.failure.format(error=error, event=news.event.value))

    def _warn_user(self, text: str) -> None:
        # The run's own hold on its log ends before the last news is told.
        with suppress(UsageError), open_run_log(self.log, self.watcher, self.clock, self.style) as say:
            say.notice(text, Level.WARNING)


@dataclass(slots=True)
class _Watch:
    """A watcher that passes everything on, and notices a stall once."""

    onward: ProgressListener | None
    on_stall: Callable[[StallDetector], object] = field(default=lambda _: None)
    still: StallDetector | None = None
    """None until the run has begun."""

    def notice(self, notice: LogEvent) -> None:
        """Pass it on."""
        if self.onward:
            self.onward.notice(notice)

    def progress(self, progress: Progress) -> None:
        """Pass it on; call *on_stall* where nothing has moved for too long, once until something does."""
        if self.onward:
            self.onward.progress(progress)
        self.still = self.still.and_then(progress) if self.still else StallDetector(progress)
        if self.still.is_stall and not self.still.told:
            self.still = replace(self.still, told=True)
            self.on_stall(self.still)


def _make_notification(
    event: NotificationKind, manifest: str, progress: Progress, reason: str
) -> Notification:
    return Notification(event, manifest, progress.counts, progress.cost, progress.elapsed, reason)


def _last_news(manifest: str, summary: Summary) -> Notification:
    event = (
        NotificationKind.STOPPED
        if summary.exit_code in (ExitCode.WORK_LEFT, ExitCode.REFUSED)
        else NotificationKind.ENDED
    )
    reason = summary.stopped_because if event is NotificationKind.STOPPED else None
    return Notification(event, manifest, summary.counts, summary.cost, summary.elapsed, reason)


def _receivers_of(settings: Settings) -> Iterator[Receiver]:
    if settings.notify is not None:
        yield _receiver_at(settings.notify)
    if settings.on_end is not None:
        # After the others: it may switch the machine off.
        yield EndCommand(settings.on_end, settings)


def _receiver_at(address: str) -> Receiver:
    if is_webhook(address):
        return Webhook(address)
    from batchfill.notify.service_receiver import ServiceReceiver

    return ServiceReceiver(address)


async def notify_of_run(
    run: Callable[[ProgressListener | None], Awaitable[Summary]],
    settings: Settings,
    watch: ProgressListener | None,
) -> Summary:
    """Return what *run* returns, having told of it where --notify and --on-end ask for that.

    Raises UsageError when a receiver cannot be told, before anything is run.
    """
    receivers = list(_receivers_of(settings))
    if not receivers:
        return await run(watch)
    notifier = Notifier(
        receivers=receivers,
        manifest=settings.manifest.name,
        log=settings.folder / RUN_LOG,
        watcher=watch,
        clock=SystemClock(),
        style=settings.log_style,
    )
    return await notifier.run_and_notify(run)
