"""What `check` found without paying."""

from __future__ import annotations

from typing import TYPE_CHECKING

from batchfill.show.cost import UNKNOWN
from batchfill.show.plan import SHOWN, warning_lines
from batchfill.show.words import count, duration, first, money, safe

if TYPE_CHECKING:
    from collections.abc import Iterator

    from batchfill.values import CheckReport


def check_lines(report: CheckReport) -> list[str]:
    """Return mistakes (the first twenty), warnings and notes, then rows, outputs, cost and time."""
    return [*_mistakes(report), *_remarks(report), *_totals(report)]


def _mistakes(report: CheckReport) -> Iterator[str]:
    lines = [safe(str(mistake)) for mistake in report.mistakes]
    yield from first(lines, SHOWN, "more mistake", unlisted=report.more_mistakes)


def _remarks(report: CheckReport) -> Iterator[str]:
    yield from warning_lines(report.warnings)
    for note in report.notes:
        yield safe(note)


def _totals(report: CheckReport) -> Iterator[str]:
    found = len(report.mistakes) + report.more_mistakes
    rows = count(report.rows, "row")
    yield f"{rows} right, {count(found, 'mistake')}" if found else f"{rows}, no mistakes"
    if report.finished:
        yield f"{report.finished:,} done already"
    if report.outputs_to_go:
        yield f"{count(report.outputs_to_go, 'picture')} to make with {report.model}: {_price(report)}"


def _price(report: CheckReport) -> str:
    known = report.price_to_go is not None
    price = f"about {money(report.price_to_go, report.currency)}" if known else UNKNOWN
    return price if report.seconds is None else f"{price}, about {duration(report.seconds)}"
