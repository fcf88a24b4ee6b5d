"""Values that a run reports.

*Counts* tell how many rows are in each state.
"""

from __future__ import annotations

from batchfill.domain.reports import Cost, Plan
from batchfill.domain.rows import RowState

PLAN = Plan(
    model="black-forest-labs/flux-fill-dev",
    base="https://api.replicate.com/v1",
    rows=15,
    to_go=12,
    outputs_to_go=18,
    finished=3,
    open=0,
    in_doubt=0,
    skipped=0,
    changed=0,
    price_to_go=720_000,
    price_changed=0,
    cost=Cost(spent=0, reserved=0, to_go=720_000, cap=None),
    seconds=40,
)
"""Of a start that goes on with a batch."""


def counts_of(**some: int) -> dict[RowState, int]:
    """Return counts of all states; those that are not named are 0."""
    return {state: some.get(state.value, 0) for state in RowState}
