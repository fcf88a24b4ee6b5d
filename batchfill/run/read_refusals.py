"""Reads that the service refuses: what runs is paid for, so that it is asked for as long as it can be had."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import anyio

from batchfill.domain.progress import Level

if TYPE_CHECKING:
    from batchfill.clock import Clock
    from batchfill.domain.provider_facts import ProviderFacts
    from batchfill.domain.rows import Attempt
    from batchfill.errors import ServiceRefused
    from batchfill.run.shutdown import StopSignal
    from batchfill.settings.timings import Timings
    from batchfill.storage.run_log import RunLog

GAPS = 3
"""Between looks, of nothing but refusals, after which nothing more is paid for."""


class ReadRefusals:
    """Counts the time in which every read was refused. A single refusal, of whatever status, may pass."""

    def __init__(
        self, facts: ProviderFacts, stopping: StopSignal, *, log: RunLog, clock: Clock, timings: Timings
    ) -> None:
        self._facts = facts
        self._stopping = stopping
        self._log = log
        self._clock = clock
        self._timings = timings
        self._since: float | None = None
        self._until = 0.0
        """Until when something of what was refused can be had."""

    def add_refusal(self, attempt: Attempt, error: ServiceRefused) -> None:
        """A read about *attempt* was refused: go on, pay for nothing more, or give up, by how long it is."""
        timings, now = self._timings, self._clock.now()
        if self._since is None:
            self._since = anyio.current_time()
        kept = timings.outputs_kept
        kept = self._facts.outputs_kept if kept is None else kept
        self._until = max(self._until, (attempt.accepted_at or attempt.intended_at) + kept)
        lasts = anyio.current_time() - self._since
        if now > self._until and lasts > timings.longest_refusal:
            # Nothing more can be learned or fetched: what runs stays as it is in the ledger.
            self._stopping.stop_now(str(error), refused=True)
        elif (error.final or lasts >= GAPS * timings.refused_poll_gap) and not self._stopping.refused:
            until = datetime.fromtimestamp(self._until)
            text = f"{error}; what runs is asked for until {until:%H:%M}, and nothing more is submitted"
            self._log.notice(text, Level.WARNING)
            self._stopping.stop_submitting(str(error), refused=True)

    def end(self) -> None:
        """A read was answered."""
        self._since, self._until = None, 0.0
