"""A running batch in a few facts, and what happens to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from batchfill.console.format import format_count, format_paid, safe_text, state_word
from batchfill.domain.duration import format_duration
from batchfill.domain.progress import Level
from batchfill.domain.rows import RowState

if TYPE_CHECKING:
    from batchfill.domain.progress import LogEvent, Progress

TROUBLE = (RowState.FAILED, RowState.CANCELED, RowState.EXPIRED, RowState.IN_DOUBT)
PREFIXES = {Level.INFO: "", Level.WARNING: "warning: ", Level.ERROR: "error: "}
"""What comes before a notice; weights that are missing are for run.log only."""


def notice_line(notice: LogEvent) -> str:
    """Return the notice as one safe line, with its weight before it when it needs attention."""
    return PREFIXES.get(notice.level, "") + safe_text(notice.text)


def ended_rows(progress: Progress) -> int:
    """Return how many rows of the manifest need nothing more from this run."""
    return progress.counts[RowState.DONE] + sum(progress.counts[state] for state in TROUBLE)


def percent_ended(progress: Progress) -> int:
    """Return the part of the rows that has ended; 100 only when all have."""
    return 100 * ended_rows(progress) // max(progress.total, 1)


def pace_facts(progress: Progress) -> list[str]:
    """Return the rate and the time left, as far as they are known."""
    facts = []
    if progress.rate is not None:
        facts.append(f"{progress.rate:,.1f} rows a minute")
    if progress.seconds_left is not None:
        facts.append(f"{format_duration(progress.seconds_left)} left")
    return facts


def progress_line(progress: Progress) -> str:
    """Return `63 %: 6,300 of 10,000 rows done, 12 failed, 56.1 rows a minute, 12 min left, $252.48 paid`."""
    counts, cost = progress.counts, progress.cost
    facts = [
        f"{percent_ended(progress)} %: {counts[RowState.DONE]:,} of "
        f"{format_count(progress.total, 'row')} done"
    ]
    facts += [f"{counts[state]:,} {state_word(state)}" for state in TROUBLE if counts[state]]
    facts += pace_facts(progress)
    if cost.known:
        facts.append(format_paid(cost))
    if progress.waiting_for:
        facts.append(f"waiting: {safe_text(progress.waiting_for)}")
    return ", ".join(facts)
