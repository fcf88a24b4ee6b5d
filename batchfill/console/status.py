"""State of a batch: lines for a person, one JSON object for a program."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from batchfill.console.format import (
    cost_line,
    format_count,
    format_states,
    format_time,
    gone_line,
    in_doubt,
    safe_text,
)
from batchfill.console.problems import canceled_lines, doubt_lines, expired_lines, failure_lines, next_steps
from batchfill.console.render_plan import provider_name
from batchfill.domain.json_objects import amounts_object, counts_object, iso_time
from batchfill.domain.rows import RowState

if TYPE_CHECKING:
    from collections.abc import Iterator

    from batchfill.domain.reports import Status


def status_lines(status: Status, *, command: str) -> list[str]:
    """Return the state of the batch; *command* is the command line that goes on with it."""
    counts, doubtful = status.counts, in_doubt(status.counts, status.gone)
    return [
        *_head_lines(status),
        *_row_lines(status),
        cost_line(status.cost),
        *_time_lines(status),
        *failure_lines(counts.get(RowState.FAILED, 0), status.reasons),
        *canceled_lines(counts.get(RowState.CANCELED, 0)),
        *expired_lines(counts.get(RowState.EXPIRED, 0)),
        *doubt_lines(status.doubts, doubtful, currency=status.cost.currency, command=command),
        *([] if status.running else next_steps(counts, command, made=status.failed_made)),
    ]


def status_json(status: Status) -> dict[str, Any]:
    """Return what `status --json` prints: money in units of the currency, times ISO 8601 in UTC, or null."""
    return {
        "manifest": status.manifest,
        "model": status.model,
        "base": status.base,
        "running": status.running,
        "counts": counts_object(status.counts),
        "gone": {state.value: number for state, number in status.gone.items() if number},
        "cost": {**amounts_object(status.cost), "currency": status.cost.currency},
        "started_at": iso_time(status.started_at),
        "updated_at": iso_time(status.updated_at),
        "stopped_because": status.stopped_because,
    }


def _head_lines(status: Status) -> Iterator[str]:
    now = "running now" if status.running else "not running"
    yield f"{safe_text(status.manifest)}: {now}"
    if status.model:
        yield f"{safe_text(status.model)} at {provider_name(status.base)}"
    else:
        yield "no run has begun: each start was refused before its first row"


def _row_lines(status: Status) -> Iterator[str]:
    total = sum(status.counts.values())
    yield f"{format_count(total, 'row')}: {format_states(status.counts)}" if total else "0 rows"
    yield from gone_line(status.gone)


def _time_lines(status: Status) -> Iterator[str]:
    if status.started_at is not None:
        yield f"begun {format_time(status.started_at)}"
    if status.updated_at is not None:
        yield f"last change {format_time(status.updated_at)}"
    if status.stopped_because:
        yield f"ended early: {safe_text(status.stopped_because)}"
