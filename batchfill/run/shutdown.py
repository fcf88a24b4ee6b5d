"""How a run is stopped and how it ends: signals, and the exit code."""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING

import anyio

from batchfill.domain.exit_codes import ExitCode
from batchfill.domain.progress import Level, LogEvent
from batchfill.domain.rows import RowState

if TYPE_CHECKING:
    from collections.abc import Mapping

    from batchfill.domain.progress import ProgressListener
    from batchfill.run.clock import Clock
    from batchfill.run.context import StopSignal


LEFT = (RowState.PENDING, RowState.SUBMITTING, RowState.RUNNING, RowState.COLLECTING)
BAD = (RowState.FAILED, RowState.EXPIRED, RowState.IN_DOUBT)


def exit_code(
    counts: Mapping[RowState, int], gone: Mapping[RowState, int], stopping: StopSignal, *, skipped: int
) -> ExitCode:
    """Return how the run ended."""
    if stopping.refused:
        return ExitCode.REFUSED
    open_but_gone = sum(gone.get(state, 0) for state in LEFT if state is not RowState.PENDING)
    if sum(counts[state] for state in LEFT) + open_but_gone:
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
    if sys.platform == "win32":
        return
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM, signal.SIGHUP) as signals:
        async for _ in signals:
            times = stopping.interrupt()
            if times not in SAID:
                # A crash is an ordinary way to stop: everything that matters is in the ledger.
                os._exit(ExitCode.WORK_LEFT)
            if watcher:
                watcher.notice(LogEvent(clock.now(), SAID[times], Level.WARNING))
