"""Pauses that a service asks for, said on the terminal where they are long."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from batchfill.domain.progress import Level
from batchfill.errors import Held

if TYPE_CHECKING:
    from batchfill.clock import Clock
    from batchfill.errors import TransientError
    from batchfill.settings.timings import Timings
    from batchfill.storage.run_log import RunLog


class PauseReport:
    """Says once a pause why it is, and when it ends. Short ones in a row count as one."""

    def __init__(self, log: RunLog, clock: Clock, timings: Timings, waits: str) -> None:
        """*waits*: what does, in words: `nothing is submitted`."""
        self._log = log
        self._clock = clock
        self._timings = timings
        self._waits = waits
        self._since: float | None = None
        self._told_until = 0.0

    def add_pause(self, error: TransientError, seconds: float) -> None:
        """The service asked to wait *seconds* from now."""
        now = self._clock.now()
        if self._since is None:
            self._since = now
        # The first word of what is away; then as of all others.
        long = 0.0 if isinstance(error, Held) and not self._told_until else self._timings.long_pause
        until = now + seconds
        if until - self._since <= long or until - self._told_until <= long:
            return
        # Short ones have no end that is known: the next time is when they have gone on for as long again.
        self._told_until = max(until, now + (now - self._since))
        text = f"{error}; {self._waits} until {datetime.fromtimestamp(until):%H:%M:%S}"
        self._log.notice(text, Level.WARNING)

    def end(self) -> None:
        """The service takes requests again."""
        self._since, self._told_until = None, 0.0
