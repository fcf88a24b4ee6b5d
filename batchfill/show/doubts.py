"""Rows that may have been paid for: why, how much, and what each way out costs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from batchfill.show.words import count, first, moment, money, safe

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from batchfill.values import Doubt

SHOWN = 20


def doubt_lines(doubts: Sequence[Doubt], total: int, *, currency: str, command: str) -> Iterator[str]:
    """Explain the *total* rows in doubt, of which *doubts* are the first; nothing when there are none."""
    if not total:
        return
    yield f"in doubt: {count(total, 'row')}, sent without an answer: made and paid for, or not"
    lines = [f"  {_doubt(doubt, currency)}" for doubt in doubts]
    yield from first(lines, SHOWN, "more row", unlisted=total - len(doubts))
    given_up = max((doubt.lost_at or doubt.intended_at for doubt in doubts), default=None)
    yield from _ways_out(_price_of_all(doubts, total, currency), command, given_up)


def _doubt(doubt: Doubt, currency: str) -> str:
    where = f" (line {doubt.line})" if doubt.line else ""
    seed = "" if doubt.seed is None else f"seed {doubt.seed}, "
    price = "price unknown" if doubt.price is None else money(doubt.price, currency)
    return f"{doubt.id}{where}, sent {moment(doubt.intended_at)}, {seed}{price}: {safe(doubt.reason)}"


def _price_of_all(doubts: Sequence[Doubt], total: int, currency: str) -> str:
    prices = [doubt.price for doubt in doubts if doubt.price is not None]
    if len(prices) < len(doubts) or not prices:
        return "their price, which is unknown,"
    sum_ = money(sum(prices), currency)
    return sum_ if total <= len(doubts) else f"more than {sum_}"


def _ways_out(price: str, command: str, given_up: float | None) -> Iterator[str]:
    yield "  they are not sent again unless you say so; to leave them so costs nothing more:"
    yield "    the provider's page of predictions, by time, seed and prompt"
    yield "      shows whether they were made; costs nothing"
    yield f"    {command}"
    yield "      looks for them at the service once more; costs nothing"
    yield f"    {command} --retry in-doubt"
    if given_up is not None:
        lost = f"{moment(given_up)}, when the last was lost"
        yield f"      not at once: a service may make them minutes after {lost}"
    yield f"      sends them again: costs {price} and pays twice for each that was made after all"
