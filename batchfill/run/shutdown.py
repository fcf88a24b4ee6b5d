"""How a run is stopped and how it ends: the stop signal, the system's signals, and the exit code."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from batchfill.domain.exit_codes import ExitCode
from batchfill.domain.progress import Level, LogEvent
from batchfill.domain.rows import LEFT, RowState
from batchfill.errors import kind_of
from batchfill.systems import here
from batchfill.wakeup import Wakeup

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from batchfill.clock import Clock
    from batchfill.domain.progress import ProgressListener

MANY = 10


class FailureStreak:
    """Counts rows that failed for the same reason with no success in between."""

    def __init__(self) -> None:
        self._kind = ""
        self._count = 0

    def record_failure(self, reason: str) -> bool:
        """Note a failed row; return whether it was the tenth alike in a row."""
        kind = kind_of(reason)
        self._count = self._count + 1 if kind == self._kind else 1
        self._kind = kind
        return self._count >= MANY

    def record_success(self) -> None:
        """A row succeeded: the row of failures is broken."""
        self._count = 0


@dataclass(slots=True)
class StopSignal:
    """Set by each stage that finds a reason; the first one counts."""

    wakeup: Wakeup = field(default_factory=Wakeup)
    """Rings at every change, of rows too."""
    changed: Wakeup = field(default_factory=Wakeup)
    """Rings when a reason was found, and at no other time: what waits for one sleeps through the rows."""
    because: str | None = None
    """No new submits; what runs is finished. In words for a person."""
    by_user: bool = False
    """The user wants it to end: nothing is waited for that another start can do as well."""
    refused: bool = False
    """The service refused: 401, 402, 403, or no such model."""
    at_once: bool = False
    """Only open POST answers are waited for."""
    cancel: bool = False
    """The service is asked to cancel what runs."""
    on_hurry: Callable[[], object] = lambda: None
    """Called when the user will not wait for what takes long."""
    streak: FailureStreak = field(default_factory=FailureStreak)
    """Rows that failed one after the other."""

    def stop_submitting(self, because: str, *, by_user: bool = False, refused: bool = False) -> None:
        """Stop submitting."""
        self.because = self.because or because
        self.by_user = self.by_user or by_user
        self.refused = self.refused or refused
        self.changed.notify()
        self.wakeup.notify()

    def stop_now(self, because: str, *, refused: bool = False) -> None:
        """Wait for nothing but open POST answers."""
        self.at_once = True
        self.stop_submitting(because, refused=refused)

    def cancel_all(self) -> None:
        """Stop submitting and ask the service to cancel what runs."""
        self.cancel = True
        self.stop_submitting("canceled by the user", by_user=True)

    def interrupt(self) -> int:
        """Take one Ctrl-C and return how many there were: finish what runs, then only open answers."""
        if self.at_once:
            return 3
        if self.by_user:
            self.stop_now("stopped by the user, without waiting for what runs")
            self.on_hurry()
            return 2
        self.stop_submitting("stopped by the user", by_user=True)
        return 1

    def record_failure(self, reason: str) -> None:
        """A row failed: the tenth alike in a row ends submitting."""
        if self.streak.record_failure(reason):
            self.stop_submitting(f"ten rows in a row failed alike: {reason}")


BAD = (RowState.FAILED, RowState.CANCELED, RowState.EXPIRED, RowState.IN_DOUBT)


def exit_code(
    counts: Mapping[RowState, int],
    gone: Mapping[RowState, int],
    stopping: StopSignal,
    *,
    skipped: int,
    left: int = 0,
) -> ExitCode:
    """Return how the run ended; *left*: files that are still to be put below --outputs."""
    if stopping.refused:
        return ExitCode.REFUSED
    open_but_gone = sum(gone.get(state, 0) for state in LEFT if state is not RowState.PENDING)
    if sum(counts[state] for state in LEFT) + open_but_gone + left:
        return ExitCode.WORK_LEFT
    if skipped or sum(counts[state] for state in BAD):
        return ExitCode.SOME_FAILED
    return ExitCode.DONE


SAID = {
    1: "stopping: nothing new is submitted, what runs is finished and fetched (again: do not wait for it)",
    2: "stopping now: only answers to open submissions are waited for (again: end at once)",
}


async def watch_signals(stopping: StopSignal, watcher: ProgressListener | None, clock: Clock) -> None:
    """Pass signals on to *stopping*, until cancelled."""
    with here().receive_signals() as signals:
        async for _ in signals:
            times = stopping.interrupt()
            if times not in SAID:
                # A crash is an ordinary way to stop: everything that matters is in the ledger.
                os._exit(ExitCode.WORK_LEFT)
            if watcher:
                watcher.notice(LogEvent(clock.now(), SAID[times], Level.WARNING))
