"""How long nothing has moved in a run, and whether that is a stall."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from batchfill.domain.rows import LEFT

if TYPE_CHECKING:
    from batchfill.domain.progress import Progress

STALL_TIME = 900.0
"""Seconds without any change that are an ordinary wait: a model that starts up, a limit, a short outage."""

RUN_TIMES_AS_LONG = 5.0
"""Times as long as a prediction is expected to take, where that is longer."""

LONGEST_STEP = 60.0
"""Seconds between two reports that count; where there are more the machine slept, and the run with it."""


@dataclass(frozen=True, slots=True)
class StallDetector:
    """What was seen last, and for how long it has been so."""

    progress: Progress
    seconds: float = 0.0
    told: bool = False
    """Whether this stall was told."""

    def and_then(self, progress: Progress) -> StallDetector:
        """Return the stillness after *progress*, the next report: none where a row changed its state."""
        if _has_moved(self.progress, progress):
            return StallDetector(progress)
        step = min(max(0.0, progress.elapsed - self.progress.elapsed), LONGEST_STEP)
        return replace(self, progress=progress, seconds=self.seconds + step)

    @property
    def is_stall(self) -> bool:
        """Whether rows are running or due, and nothing ended and nothing was submitted for too long."""
        return self.seconds >= stall_after(self.progress.run_time) and bool(_rows_left(self.progress))


def stall_after(run_time: float | None) -> float:
    """Return for how many seconds nothing may move, where a prediction is expected to take *run_time*."""
    return max(STALL_TIME, RUN_TIMES_AS_LONG * (run_time or 0.0))


def _has_moved(before: Progress, now: Progress) -> bool:
    return (before.counts, before.gone, before.cost) != (now.counts, now.gone, now.cost)


def _rows_left(progress: Progress) -> int:
    return sum(progress.counts.get(state, 0) + progress.gone.get(state, 0) for state in LEFT)
