"""How fast a run goes, and how long it will take."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from batchfill.values import Progress, RowState

if TYPE_CHECKING:
    from collections.abc import Mapping

    from batchfill.values import Cost

ENDS = (RowState.DONE, RowState.FAILED, RowState.EXPIRED)
WINDOW = 180.0
"""Seconds over which the rate is measured."""

ENOUGH = 5.0
"""Seconds after which a rate is worth showing."""


class Measure:
    """Progress of one run, from the ledger's counts."""

    def __init__(self, counts: Mapping[RowState, int], now: float) -> None:
        self.began = now
        self._first = _ended(counts)
        self._samples: deque[tuple[float, int]] = deque([(now, self._first)])

    def finished(self, counts: Mapping[RowState, int]) -> int:
        """Return how many rows this run brought to an end."""
        return max(0, _ended(counts) - self._first)

    def progress(
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
        rate = self._rate(_ended(counts), now)
        left = sum(counts.values()) - _ended(counts) - counts[RowState.IN_DOUBT]
        return Progress(
            counts=counts,
            gone=gone,
            cost=cost,
            elapsed=now - self.began,
            finished_now=self.finished(counts),
            seconds_left=left / rate if rate else None,
            rate=None if rate is None else rate * 60,
            waiting_for=waiting_for,
            last_failure=last_failure,
            run_time=run_time,
        )

    def _rate(self, ended: int, now: float) -> float | None:
        """Return rows a second over the window; None while unknown."""
        if now - self._samples[-1][0] >= 1.0:
            self._samples.append((now, ended))
        while len(self._samples) > 2 and now - self._samples[0][0] > WINDOW:
            self._samples.popleft()
        at, before = self._samples[0]
        if now - at < ENOUGH or ended <= before:
            return None
        return (ended - before) / (now - at)


def _ended(counts: Mapping[RowState, int]) -> int:
    return sum(counts[state] for state in ENDS)
