"""When to ask for a running prediction, learned from those that ended."""

from __future__ import annotations

from collections import deque
from statistics import quantiles
from typing import TYPE_CHECKING

from batchfill.settings import timings

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from batchfill.settings.timings import Timings


UNKNOWN_RUN = 15.0
"""Seconds that a run of the model is guessed to take before any has ended (flux-fill-dev: 10 to 20)."""

LISTS_A_ROW = 0.3
"""As many as keep requests few, where that is often enough to notice an end in good time."""

SHORTEST_SHARE, LONGEST_SHARE = 0.03, 0.1
"""Of the expected run time, between two lists."""

SHORTEST_ROUND = 0.03
LONGEST_FIRST_LOOK = 600.0
"""Seconds: what was made is removed after an hour, whatever the service's clock says of run times."""

LEARNED_FROM = 64
"""Predictions that ended last."""

FETCHED_AT_ONCE = 16
"""Rows, and outputs of them all together."""


class RunTimes:
    """Run times of the predictions that ended last, in seconds."""

    def __init__(
        self, known: Iterable[float] = (), keep: int = LEARNED_FROM, *, timings: Timings = timings.DEFAULT
    ) -> None:
        self._timings = timings
        self._times: deque[float] = deque(known, maxlen=keep)
        self._update_times()

    def add_run_time(self, run_time: float) -> None:
        """Learn from a prediction that ended."""
        self._times.append(run_time)
        self._update_times()

    def _update_times(self) -> None:
        # Here and not where they are asked for, which is far more often.
        times = sorted(self._times)
        self.expected = _three_in_four(times)
        """What three runs in four do not exceed; None before any has ended."""
        self.maximum = times[-1] if times else 4 * UNKNOWN_RUN
        """A time within which nearly every run ends."""
        self._minimum = times[0] if times else 0.0

    def first_look(self) -> float:
        """Return how long after its acceptance to ask for a prediction first."""
        if self.expected is None:
            return self._timings.first_poll
        return min(self.expected * 1.01 + 0.02, LONGEST_FIRST_LOOK)

    def minimum(self) -> float:
        """Return how long after its acceptance a prediction may have ended, so that a list may show it."""
        return self._minimum if self._times else self._timings.first_poll

    def round_gap(self, running: int, oldest: float) -> float:
        """Return the time between two lists while so many predictions run, the *oldest* for so long."""
        expected = self.expected
        if expected is None:
            return min(max(SHORTEST_ROUND, LONGEST_SHARE * oldest), self._timings.longest_poll_gap)
        share = min(max(1 / (LISTS_A_ROW * max(running, 1)), SHORTEST_SHARE), LONGEST_SHARE)
        return min(max(SHORTEST_ROUND, share * expected), self._timings.longest_poll_gap)

    def next_look(self, asked: int) -> float:
        """Return how long after an answer `still running` to ask again; *asked*: how often so far."""
        expected = self.expected
        gap = self._timings.first_poll if expected is None else max(0.1, 0.1 * expected)
        return min(self._timings.longest_poll_gap, gap * 1.5 ** min(asked - 1, 20))

    def time_to_finish(self, fetches: RunTimes, *, behind: int) -> float:
        """Return the seconds in which a row submitted now has run and was fetched *behind* so many others."""
        return self.maximum + behind // FETCHED_AT_ONCE * (fetches.expected or 0.0) + fetches.maximum


def _three_in_four(times: Sequence[float]) -> float | None:
    if len(times) < 2:
        return next(iter(times), None)
    return quantiles(times, n=4, method="inclusive")[2]
