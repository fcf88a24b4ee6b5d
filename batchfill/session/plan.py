"""What a run is about to do, worked out before the first payment."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from batchfill.catalog.redo_inputs import type_redo_inputs
from batchfill.clock import Deadline
from batchfill.domain.reports import Plan
from batchfill.domain.rows import OPEN, RowState
from batchfill.run.run_times import UNKNOWN_RUN
from batchfill.session import identity
from batchfill.storage.missing import NONE_MISSING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from batchfill.catalog.model import Model
    from batchfill.domain.reports import Cost
    from batchfill.ledger.import_rows import Comparison, Group
    from batchfill.ledger.ledger import Ledger
    from batchfill.ledger.selection import SelectedRows
    from batchfill.settings.settings import Settings
    from batchfill.storage.missing import Missing


LOCAL_RUN = 0.5
"""Seconds that the local emulator takes for a picture."""


async def select_rows(
    ledger: Ledger, model: Model, settings: Settings, *, incoming: bool
) -> SelectedRows | None:
    """Return the rows that --retry and --id mean; None: neither was given.

    *incoming*: as Ledger.select. Raises UsageError for an id of no row, and a redo that does not fit *model*.
    """
    if not settings.choice:
        return None
    type_inputs = partial(type_redo_inputs, model)
    chosen = await ledger.select(settings.choice, type_inputs, incoming=incoming)
    identity.refuse_unknown_ids(settings.manifest, chosen.unknown)
    identity.refuse_unfit_redos(settings.manifest, chosen.unfit)
    return chosen


def groups_to_go(comparison: Comparison, chosen: SelectedRows | None) -> list[Group]:
    """Return the rows that would be submitted: those pending and those that --retry means, or --id names."""
    pending = comparison.groups[RowState.PENDING]
    if chosen is None:
        return [pending]
    return [chosen.group] if chosen.only is not None else [pending, chosen.group]


def seconds_for(rows: int, settings: Settings, run_time: float | None) -> float:
    """Guess how long *rows* take: the pace and the bound on predictions in flight, whichever is slower."""
    if not rows:
        return 0.0
    unknown = max(settings.latency or 0.0, LOCAL_RUN) if settings.local else UNKNOWN_RUN
    one = unknown if run_time is None else run_time
    return max(rows / settings.rate * 60, rows / settings.concurrency * one) + one


def total_price(groups: Sequence[Group]) -> int | None:
    """Return the price of one attempt of each row; None where one is not known."""
    total = 0
    for group in groups:
        if group.price is None:
            return None
        total += group.price
    return total


def redo_price(comparison: Comparison, to_go: Sequence[Group], settings: Settings) -> int | None:
    """Return what rows that are made again by themselves cost at most; None where a price is not known."""
    if settings.redo_rule is None:
        return 0
    price = total_price([*to_go, *(comparison.groups[state] for state in OPEN)])
    return None if price is None else price * settings.redo_times


def make_plan(
    comparison: Comparison,
    settings: Settings,
    cost: Cost,
    *,
    skipped: int,
    run_time: float | None,
    warnings: Sequence[str],
    now: float,
    missing: Missing = NONE_MISSING,
    chosen: SelectedRows | None = None,
) -> Plan:
    """Return the plan of a run that begins *now*, in seconds since the epoch."""
    groups = comparison.groups
    to_go = groups_to_go(comparison, chosen)
    again = 0 if chosen is None else chosen.done
    rows = sum(group.rows for group in to_go)
    return Plan(
        origins=settings.origins,
        model=settings.model,
        base=settings.base,
        rows=sum(group.rows for group in groups.values()),
        to_go=rows,
        outputs_to_go=sum(group.outputs for group in to_go),
        finished=groups[RowState.DONE].rows - len(missing.attempts) - again,
        open=sum(groups[state].rows for state in OPEN),
        in_doubt=groups[RowState.IN_DOUBT].rows,
        skipped=skipped,
        changed=comparison.changed,
        price_to_go=total_price(to_go),
        price_changed=comparison.price_changed,
        cost=cost,
        seconds=seconds_for(rows, settings, run_time),
        warnings=tuple(warnings),
        missing=len(missing.attempts),
        price_missing=missing.price,
        again=again,
        edited=0 if chosen is None else chosen.edited,
        changed_inputs=0 if chosen is None else chosen.changed,
        until=Deadline(settings.until, now).seconds_left(now, 0) if settings.until else None,
        redo=settings.redo_rule,
        price_redo=redo_price(comparison, to_go, settings),
    )
