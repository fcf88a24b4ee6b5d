"""How a run ended, and how to go on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from batchfill.console.format import cost_line, format_count, format_states, gone_line, in_doubt, safe_text
from batchfill.console.problems import (
    OPEN,
    canceled_lines,
    doubt_lines,
    expired_lines,
    failure_lines,
    next_steps,
)
from batchfill.domain.duration import format_duration
from batchfill.domain.rows import RowState

if TYPE_CHECKING:
    from collections.abc import Iterator

    from batchfill.domain.reports import Summary


COMPARABLE = 100
"""Submitted rows from which on requests are told: of few rows, nearly all ask whether they are done yet."""


def summary_lines(summary: Summary, *, command: str) -> list[str]:
    """Return how the run ended; *command* is the command line that goes on with the batch.

    A run that paid for nothing says `nothing was submitted` on a line of its own.
    """
    counts, doubtful = summary.counts, in_doubt(summary.counts, summary.gone)
    return [
        *_row_lines(summary),
        *failure_lines(counts.get(RowState.FAILED, 0), summary.reasons),
        *canceled_lines(counts.get(RowState.CANCELED, 0)),
        *expired_lines(counts.get(RowState.EXPIRED, 0)),
        *doubt_lines(summary.doubts, doubtful, currency=summary.cost.currency, command=command),
        *_this_run(summary),
        *_expense_line(summary),
        cost_line(summary.cost),
        *next_steps(counts, command, made=summary.failed_made),
        f"pictures: {safe_text(summary.root or f'{summary.folder}/')}outputs",
    ]


def _row_lines(summary: Summary) -> Iterator[str]:
    total = sum(summary.counts.values())
    done = summary.counts.get(RowState.DONE, 0)
    left = {state: summary.counts.get(state, 0) for state in OPEN}
    yield (
        f"done: all {format_count(total, 'row')}"
        if done == total
        else f"done: {done:,} of {format_count(total, 'row')}"
    )
    if any(left.values()):
        yield f"left: {format_states(left)}"
    if summary.stopped_because:
        yield f"ended early: {safe_text(summary.stopped_because)}"
    if summary.skipped:
        yield f"left out: {format_count(summary.skipped, 'row')} with mistakes (--skip-bad)"
    yield from gone_line(summary.gone)


def _this_run(summary: Summary) -> Iterator[str]:
    if not summary.submitted_now:
        yield "nothing was submitted"
    if summary.submitted_now or summary.finished_now:
        took = f"in {format_duration(summary.elapsed)}"
        if summary.submitted_now >= COMPARABLE:
            took += f", {format_count(summary.requests, 'request')}"
        yield f"this run: {summary.submitted_now:,} submitted, {summary.finished_now:,} finished {took}"


def _expense_line(summary: Summary) -> Iterator[str]:
    """Say what the run cost besides money, in a line that two runs can be compared by."""
    if not summary.submitted_now:
        return
    parts = []
    if summary.submitted_now >= COMPARABLE:
        parts.append(f"{summary.requests / summary.submitted_now:.1f} requests a row")
    parts.append(
        f"throttled for {format_duration(summary.throttled)}" if summary.throttled else "never throttled"
    )
    waited = f"{format_duration(summary.held)} lost" if summary.held else "no time lost"
    parts.append(f"{waited} to waiting for downloads")
    if summary.peak_memory is not None:
        parts.append(f"{summary.peak_memory / 2**20:,.0f} MB of memory at most")
    yield f"it took: {', '.join(parts)}"
