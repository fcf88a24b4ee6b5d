"""What the stages of one run share: their effects, the signal to stop, and how they wake each other."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from batchfill.catalog.model import Model
    from batchfill.domain.rows import RedoRule
    from batchfill.ledger.ledger import Ledger
    from batchfill.providers.client import Service
    from batchfill.providers.downloads import OutputClient
    from batchfill.providers.rate_limiter import RateLimiter
    from batchfill.run.clock import Chance, Clock
    from batchfill.run.run_log import RunLog
    from batchfill.run.run_times import RunTimes
    from batchfill.run.timings import Timings
    from batchfill.settings.settings import Settings
    from batchfill.storage.output_store import OutputStore
    from batchfill.workers.pool import Workers


class Wakeup:
    """Wakes everybody who waits; a ring between looking and waiting is not missed."""

    def __init__(self) -> None:
        self.version = 0
        """How often it rang; note it before looking, and give it to `wait`."""
        self._event = asyncio.Event()

    def notify(self) -> None:
        """Wake everybody."""
        self.version += 1
        self._event.set()
        self._event = asyncio.Event()

    async def wait(self, seen: int, seconds: float | None = None) -> None:
        """Return once it has rung since *seen*, or after *seconds*."""
        if self.version != seen:
            return
        event = self._event
        try:
            # Bells are waited for everywhere and all the time: asyncio's own way costs a third of anyio's.
            async with asyncio.timeout(seconds):
                await event.wait()
        except TimeoutError:
            pass


MANY = 10


def kind_of(reason: str) -> str:
    """Return what reasons that are alike have in common: numbers, and the ids of requests, do not count."""
    words = (word for word in reason.lower().split() if not any(character.isdigit() for character in word))
    return " ".join(re.sub(r"\W+", " ", " ".join(words)).split())


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
    """Rings at every change."""
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


@dataclass(frozen=True, slots=True, kw_only=True)
class FileContext:
    """What work on files takes, without the network."""

    model: Model
    ledger: Ledger
    store: OutputStore
    workers: Workers
    """For short work."""
    pixels: Workers
    """For work on pictures that takes its time."""
    log: RunLog
    timings: Timings

    @property
    def redo_rule(self) -> RedoRule | None:
        """Which rows are made again by themselves: none without a run."""
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunContext(FileContext):
    """Every effect of a stage goes through one of these."""

    settings: Settings
    stopping: StopSignal
    run_times: RunTimes
    service: Service
    outputs: OutputClient
    clock: Clock
    chance: Chance
    creates: RateLimiter
    began: float = 0.0
    """When the run did; seconds since the epoch."""

    @property
    def redo_rule(self) -> RedoRule | None:
        """Which rows are made again by themselves: none once nothing is submitted any more."""
        rule = self.settings.redo_rule
        return None if rule is None or self.stopping.because is not None else rule._replace(since=self.began)
