"""What to type next."""

from __future__ import annotations

from typing import TYPE_CHECKING

from batchfill.values import RowState

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

OPEN = (RowState.PENDING, RowState.SUBMITTING, RowState.RUNNING, RowState.COLLECTING)
"""States that a run goes on with unasked."""


def next_steps(counts: Mapping[RowState, int], command: str) -> Iterator[str]:
    """Say how to go on with what *counts* leaves; rows in doubt are explained elsewhere."""
    if any(counts.get(state) for state in OPEN):
        yield f"to go on: {command}"
    if counts.get(RowState.FAILED):
        yield f"to try failed rows again: {command} --retry failed"
    if counts.get(RowState.EXPIRED):
        yield f"to make expired rows again, and pay for them again: {command} --retry expired"
