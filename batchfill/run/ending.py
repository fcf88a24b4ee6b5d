"""The exit code of a run: the first that applies."""

from __future__ import annotations

from typing import TYPE_CHECKING

from batchfill.values import RowState

if TYPE_CHECKING:
    from collections.abc import Mapping

    from batchfill.run.stopping import Stopping

DONE, SOME_FAILED, NOTHING_DONE, WORK_LEFT, REFUSED = 0, 1, 2, 3, 4

LEFT = (RowState.PENDING, RowState.SUBMITTING, RowState.RUNNING, RowState.COLLECTING)
BAD = (RowState.FAILED, RowState.EXPIRED, RowState.IN_DOUBT)


def exit_code(
    counts: Mapping[RowState, int], gone: Mapping[RowState, int], stopping: Stopping, *, skipped: int
) -> int:
    """Return how the run ended, for a shell: 4 refused, 3 work left, 1 some rows failed, 0 every row done."""
    if stopping.refused:
        return REFUSED
    open_but_gone = sum(gone.get(state, 0) for state in LEFT if state is not RowState.PENDING)
    if sum(counts[state] for state in LEFT) + open_but_gone:
        return WORK_LEFT
    if skipped or sum(counts[state] for state in BAD):
        return SOME_FAILED
    return DONE
