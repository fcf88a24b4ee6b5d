"""Values that a run reports.

*Counts* tell how many rows are in each state.
"""

from __future__ import annotations

from batchfill.domain.rows import RowState


def counts_of(**some: int) -> dict[RowState, int]:
    """Return counts of all states; those that are not named are 0."""
    return {state: some.get(state.value, 0) for state in RowState}
