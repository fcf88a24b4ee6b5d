"""Rows that came to nothing: failed, grouped by the reason, and expired."""

from __future__ import annotations

from typing import TYPE_CHECKING

from batchfill.show.words import count, first, safe

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

SHOWN = 10


def failure_lines(failed: int, reasons: Mapping[str, int]) -> Iterator[str]:
    """Say how many rows failed and why, the most frequent reason first; nothing when none did."""
    if not failed:
        return
    yield f"failed: {count(failed, 'row')}"
    ordered = sorted(reasons.items(), key=lambda reason: -reason[1])
    lines = [f"  {count(rows, 'row')}: {safe(reason)}" for reason, rows in ordered]
    yield from first(lines, SHOWN, "more reason")


def expired_lines(expired: int) -> Iterator[str]:
    """Say what became of rows that were made too long ago; nothing when there are none."""
    if expired:
        rows = count(expired, "row")
        yield f"expired: {rows}, made and paid for, but removed by the service before they were fetched"
