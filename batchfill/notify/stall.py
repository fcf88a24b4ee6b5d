"""How long nothing has moved in a run, and whether that is a stall."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from batchfill.run.shutdown import LEFT

if TYPE_CHECKING:
    from batchfill.domain.progress import Progress

PATIENCE = 900.0
"""Seconds without any change that are an ordinary wait: a model that starts up, a limit, a short outage."""

RUNS = 5.0
"""Times as long as a prediction is expected to take, where that is longer."""

LONGEST_STEP = 60.0
"""Seconds between two reports that count; where there are more the machine slept, and the run with it."""


@dataclass(frozen=True, slots=True)
class Stillness:
    """What was seen last, and for how long it has been so."""

    progress: Progress
    seconds: float = 0.0
    told: bool = False
    """Whether this stall was told."""

    def and_then(self, progress: Progress) -> Stillness:
        """Return the stillness after *progress*, the next report: none where a row changed its state."""
        if _moved(self.progress, progress):
            return Stillness(progress)
        step = min(max(0.0, progress.elapsed - self.progress.elapsed), LONGEST_STEP)
        return replace(self, progress=progress, seconds=self.seconds + step)

    @property
    def is_stall(self) -> bool:
        """Whether rows are running or due, and nothing ended and nothing was submitted for too long."""
        return self.seconds >= patience(self.progress.run_time) and bool(_left(self.progress))


def patience(run_time: float | None) -> float:
    """Return for how many seconds nothing may move, where a prediction is expected to take *run_time*."""
    return max(PATIENCE, RUNS * (run_time or 0.0))


def _moved(before: Progress, now: Progress) -> bool:
    return (before.counts, before.gone, before.cost) != (now.counts, now.gone, now.cost)


def _left(progress: Progress) -> int:
    return sum(progress.counts.get(state, 0) + progress.gone.get(state, 0) for state in LEFT)
