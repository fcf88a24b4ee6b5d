"""How fast a run goes, how long it will take, and what it costs besides money."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from batchfill.domain.progress import Progress
from batchfill.domain.rows import ENDED, RowState

if TYPE_CHECKING:
    from collections.abc import Mapping

    from batchfill.domain.reports import Cost


WINDOW = 180.0
"""Seconds over which the rate is measured."""

ENOUGH = 5.0
"""Seconds after which a rate is worth showing."""


class ProgressMeter:
    """Progress of one run, from the ledger's counts."""

    def __init__(self, counts: Mapping[RowState, int], now: float) -> None:
        self.began = now
        self._first = _ended_rows(counts)
        self._samples: deque[tuple[float, int]] = deque([(now, self._first)])

    def finished_rows(self, counts: Mapping[RowState, int]) -> int:
        """Return how many rows this run brought to an end."""
        return max(0, _ended_rows(counts) - self._first)

    def make_progress(
        self,
        counts: Mapping[RowState, int],
        gone: Mapping[RowState, int],
        cost: Cost,
        *,
        now: float,
        waiting_for: str | None,
        last_failure: str | None,
        run_time: float | None = None,
    ) -> Progress:
        """Return the present state."""
        rate = self._row_rate(_ended_rows(counts), now)
        left = sum(counts.values()) - _ended_rows(counts) - counts[RowState.IN_DOUBT]
        return Progress(
            counts=counts,
            gone=gone,
            cost=cost,
            elapsed=now - self.began,
            finished_now=self.finished_rows(counts),
            seconds_left=left / rate if rate else None,
            rate=None if rate is None else rate * 60,
            waiting_for=waiting_for,
            last_failure=last_failure,
            run_time=run_time,
        )

    def _row_rate(self, ended: int, now: float) -> float | None:
        """Return rows a second over the window; None while unknown."""
        if now - self._samples[-1][0] >= 1.0:
            self._samples.append((now, ended))
        while len(self._samples) > 2 and now - self._samples[0][0] > WINDOW:
            self._samples.popleft()
        at, before = self._samples[0]
        if now - at < ENOUGH or ended <= before:
            return None
        return (ended - before) / (now - at)


def _ended_rows(counts: Mapping[RowState, int]) -> int:
    return sum(counts[state] for state in ENDED)


class Stopwatch:
    """Adds up the time for which something keeps a run waiting."""

    def __init__(self) -> None:
        self._total = 0.0
        self._since: float | None = None

    def note(self, *, waits: bool, now: float) -> None:
        """It *waits* from now on, or no longer; *now* in seconds of any steady clock."""
        if self._since is not None:
            self._total += now - self._since
        self._since = now if waits else None

    def total(self, now: float) -> float:
        """Return the seconds lost up to now."""
        return self._total if self._since is None else self._total + now - self._since
