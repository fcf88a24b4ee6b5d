"""When to ask for a running prediction, learned from those that ended."""

from __future__ import annotations

from collections import deque
from statistics import quantiles
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

UNKNOWN_RUN = 15.0
"""Seconds that a run of the model is guessed to take before any has ended (flux-fill-dev: 10 to 20)."""

FIRST_LOOK = 1.0
LONGEST_GAP = 20.0
LONGEST_FIRST_LOOK = 600.0
"""Seconds: what was made is removed after an hour, whatever the service's clock says of run times."""


class Timing:
    """Run times of the predictions that ended last, in seconds."""

    def __init__(self, known: Iterable[float] = (), keep: int = 64) -> None:
        self._times: deque[float] = deque(known, maxlen=keep)

    def ended(self, run_time: float) -> None:
        """Learn from a prediction that ended."""
        self._times.append(run_time)

    @property
    def expected(self) -> float | None:
        """What three runs in four do not exceed; None before any has ended."""
        if len(self._times) < 2:
            return next(iter(self._times), None)
        return quantiles(self._times, n=4, method="inclusive")[2]

    @property
    def slow(self) -> float:
        """A time within which nearly every run ends."""
        return max(self._times) if self._times else 4 * UNKNOWN_RUN

    def first_look(self) -> float:
        """Return how long after its acceptance to ask for a prediction first."""
        expected = self.expected
        return FIRST_LOOK if expected is None else min(expected * 1.01 + 0.02, LONGEST_FIRST_LOOK)

    def next_look(self, asked: int) -> float:
        """Return how long after an answer `still running` to ask again; *asked*: how often so far."""
        expected = self.expected
        gap = FIRST_LOOK if expected is None else max(0.1, 0.1 * expected)
        return min(LONGEST_GAP, gap * 1.5 ** min(asked - 1, 20))
