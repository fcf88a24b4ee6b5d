"""Ctrl-C once, twice, three times; SIGTERM and SIGHUP count alike."""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING

import anyio

from batchfill.values import Notice, Weight

if TYPE_CHECKING:
    from batchfill.run.clock import Clock
    from batchfill.run.stopping import Stopping
    from batchfill.values import Watcher

SAID = {
    1: "stopping: nothing new is submitted, what runs is finished and fetched (again: do not wait for it)",
    2: "stopping now: only answers to open submissions are waited for (again: end at once)",
}
AT_ONCE = 3
"""Exit code of an end at once: work is left, and the next run recovers it."""


async def obey(stopping: Stopping, watcher: Watcher | None, clock: Clock) -> None:
    """Pass signals on to *stopping*, until cancelled."""
    if sys.platform == "win32":
        return
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM, signal.SIGHUP) as signals:
        async for _ in signals:
            times = stopping.interrupt()
            if times not in SAID:
                # A crash is an ordinary way to stop: everything that matters is in the ledger.
                os._exit(AT_ONCE)
            if watcher:
                watcher.notice(Notice(clock.now(), SAID[times], Weight.WARNING))
