"""Rows that need a person: failed, canceled, expired, in doubt, and what to type next."""

from __future__ import annotations

from typing import TYPE_CHECKING

from batchfill.console.format import first_lines, format_count, format_money, format_time, safe_text
from batchfill.domain.rows import RowState

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from batchfill.domain.reports import Doubt


REASONS_SHOWN = 10


def failure_lines(failed: int, reasons: Mapping[str, int]) -> Iterator[str]:
    """Say how many rows failed and why, the most frequent reason first; nothing when none did."""
    if not failed:
        return
    yield f"failed: {format_count(failed, 'row')}"
    ordered = sorted(reasons.items(), key=lambda reason: -reason[1])
    lines = [f"  {format_count(rows, 'row')}: {safe_text(reason)}" for reason, rows in ordered]
    yield from first_lines(lines, REASONS_SHOWN, "more reason")


def canceled_lines(canceled: int) -> Iterator[str]:
    """Say what becomes of rows that the user stopped; nothing when there are none."""
    if canceled:
        rows = format_count(canceled, "row")
        yield f"canceled: {rows}, stopped at the service, which may charge for what it had begun"


def expired_lines(expired: int) -> Iterator[str]:
    """Say what became of rows that were made too long ago; nothing when there are none."""
    if expired:
        rows = format_count(expired, "row")
        yield f"expired: {rows}, made and paid for, but removed by the service before they were fetched"


DOUBTS_SHOWN = 20


def doubt_lines(doubts: Sequence[Doubt], total: int, *, currency: str, command: str) -> Iterator[str]:
    """Explain the *total* rows in doubt, of which *doubts* are the first; nothing when there are none."""
    if not total:
        return
    yield f"in doubt: {format_count(total, 'row')}, sent without an answer: made and paid for, or not"
    lines = [f"  {_doubt_line(doubt, currency)}{_answer_text(doubt)}" for doubt in doubts]
    yield from first_lines(lines, DOUBTS_SHOWN, "more row", unlisted=total - len(doubts))
    given_up = max((doubt.lost_at or doubt.intended_at for doubt in doubts), default=None)
    resent = [doubt.resent_until for doubt in doubts if doubt.resent_until is not None]
    again = _resend_line(resent, total) if resent else None
    yield from _ways_out(_price_of_all(doubts, total, currency), command, given_up, again)


def _resend_line(until: Sequence[float], total: int) -> str:
    """Say which of *total* rows a start sends again with their own keys; *until*: a time for each of them."""
    which = f"{len(until):,} of them" if len(until) < total else "them"
    return (
        f"sends {which} again with the keys they had, until {format_time(min(until))}; the provider makes "
        "nothing twice, as --idempotent said"
    )


def _doubt_line(doubt: Doubt, currency: str) -> str:
    where = f" (line {doubt.line})" if doubt.line else ""
    seed = "" if doubt.seed is None else f"seed {doubt.seed}, "
    price = "price unknown" if doubt.price is None else format_money(doubt.price, currency)
    return (
        f"{doubt.id}{where}, sent {format_time(doubt.intended_at)}, {seed}{price}: {safe_text(doubt.reason)}"
    )


def _answer_text(doubt: Doubt) -> str:
    return f"\n    its answer: {safe_text(doubt.answer)}" if doubt.answer else ""


def _price_of_all(doubts: Sequence[Doubt], total: int, currency: str) -> str:
    prices = [doubt.price for doubt in doubts if doubt.price is not None]
    if len(prices) < len(doubts) or not prices:
        return "their price, which is unknown,"
    sum_ = format_money(sum(prices), currency)
    return sum_ if total <= len(doubts) else f"more than {sum_}"


def _ways_out(price: str, command: str, given_up: float | None, again: str | None) -> Iterator[str]:
    """Yield what a person can do; *again*: what the next start does with the rows' own keys, if it does."""
    how = " with new keys" if again else ""
    yield f"  they are not sent again{how} unless you say so; to leave them so costs nothing more:"
    yield "    the provider's page of predictions, by time, seed and prompt"
    yield "      shows whether they were made; costs nothing"
    yield f"    {command}"
    yield f"      {again or 'looks for them at the service once more; costs nothing'}"
    yield f"    {command} --retry in-doubt"
    if given_up is not None:
        lost = f"{format_time(given_up)}, when the last was lost"
        yield f"      not at once: a service may make them minutes after {lost}"
    yield f"      sends them again{how}: costs {price} and pays twice for each that was made after all"


OPEN = (RowState.PENDING, RowState.SUBMITTING, RowState.RUNNING, RowState.COLLECTING)
"""States that a run goes on with unasked."""


def next_steps(counts: Mapping[RowState, int], command: str, *, made: int = 0) -> Iterator[str]:
    """Say how to go on with what *counts* leaves; rows in doubt are explained elsewhere.

    *made*: failed rows whose pictures the service made.
    """
    if any(counts.get(state) for state in OPEN):
        yield f"to go on: {command}"
    if counts.get(RowState.FAILED):
        again = f", and pay again for {format_count(made, 'row')} that the service had made" if made else ""
        yield f"to try failed rows again{again}: {command} --retry failed"
    if counts.get(RowState.CANCELED):
        yield f"to submit canceled rows again, and pay for them again: {command} --retry canceled"
    if counts.get(RowState.EXPIRED):
        yield f"to make expired rows again, and pay for them again: {command} --retry expired"
