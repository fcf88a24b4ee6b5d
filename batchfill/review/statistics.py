"""How the night went: pictures over time, money over time, and how long a picture took. Pure functions."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING

from batchfill.domain.rows import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from batchfill.domain.reports import EndedAttempt

MOST_STEPS, MOST_BARS = 60, 24
STEPS = (1, 5, 10, 30, 60, 300, 600, 1800, 3600, 7200, 21600, 86400, 604800)
"""Seconds between which a watch or a calendar is read."""

PAUSE = 900.0
"""Seconds without anything, from which a batch counts as resting rather than working."""

SPENT = frozenset({Outcome.SUCCEEDED, Outcome.CANCELED})


@dataclass(frozen=True, slots=True)
class Timeline:
    """What happened in each step of a time."""

    begun_at: float
    """Seconds since the epoch."""
    step: float
    """Seconds."""
    done: tuple[int, ...]
    """Attempts that succeeded in each step."""
    failed: tuple[int, ...]
    """Attempts that came to nothing in each step."""
    spent: tuple[int, ...]
    """Millionths of the currency that were spent up to the end of each step."""


@dataclass(frozen=True, slots=True)
class RunTimeHistogram:
    """How many attempts took how long."""

    step: float
    """Seconds."""
    counts: tuple[int, ...]
    """From no time on; the last one holds all that took longer, too."""
    median: float
    slow: float
    """Seconds within which nineteen of twenty ended."""


def make_timeline(history: Sequence[EndedAttempt]) -> Timeline | None:
    """Return how *history* went, in at most MOST_STEPS steps; None when nothing has ended yet."""
    if not history:
        return None
    first, last = min(one.begun_at for one in history), max(one.at for one in history)
    step = _step_length(last - first)
    steps = int((last - first) / step) + 1
    done, failed, spent = [0] * steps, [0] * steps, [0] * steps
    for one in history:
        n = int((one.at - first) / step)
        counted = done if one.outcome is Outcome.SUCCEEDED else failed
        counted[n] += 1
        spent[n] += one.price or 0 if one.outcome in SPENT else 0
    return Timeline(first, step, tuple(done), tuple(failed), tuple(accumulate(spent)))


def run_times(history: Iterable[EndedAttempt]) -> RunTimeHistogram | None:
    """Return how long the attempts that succeeded took; None when that is known of none."""
    known = (one.run_time for one in history if one.outcome is Outcome.SUCCEEDED)
    seconds = sorted(time for time in known if time is not None)
    if not seconds:
        return None
    longest = seconds[int(0.99 * (len(seconds) - 1))]
    step = _round_up(max(longest, 0.01) / MOST_BARS)
    bars = min(int(longest / step) + 1, MOST_BARS)
    counts = [0] * bars
    for time in seconds:
        counts[min(int(time / step), bars - 1)] += 1
    return RunTimeHistogram(step, tuple(counts), _share_within(seconds, 0.5), _share_within(seconds, 0.95))


def working_time(history: Sequence[EndedAttempt]) -> float:
    """Return the seconds in which the batch worked: pauses of more than PAUSE are left out."""
    moments = sorted(moment for one in history for moment in (one.begun_at, one.at))
    return sum(later - moment for moment, later in pairwise(moments) if later - moment <= PAUSE)


def _step_length(seconds: float) -> float:
    return next((step for step in STEPS if seconds / step < MOST_STEPS), seconds / (MOST_STEPS - 1))


def _round_up(least: float) -> float:
    """Return the next of 1, 2, 5, 10, 20, … thousandths."""
    unit = 0.001
    while True:
        for factor in (1, 2, 5):
            if factor * unit >= least:
                return round(factor * unit, 3)
        unit *= 10


def _share_within(seconds: Sequence[float], share: float) -> float:
    return seconds[int(share * (len(seconds) - 1))]
