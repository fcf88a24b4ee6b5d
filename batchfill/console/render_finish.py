"""What `finish` did, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from batchfill.console.format import format_count

if TYPE_CHECKING:
    from collections.abc import Iterator

    from batchfill.domain.reports import FinishReport


def finish_lines(report: FinishReport) -> Iterator[str]:
    """Yield what became of rows, of which there may be none."""
    if not (report.finished or report.unchanged or report.failed):
        yield "no row that is done asks for finished pictures: set finish: exact in the manifest"
    if report.finished:
        yield f"finished: {format_count(report.finished, 'row')}"
    if report.unchanged:
        yield f"finished just so before: {format_count(report.unchanged, 'row')}"
    if report.failed:
        yield f"left as they were, for the reasons above: {format_count(report.failed, 'row')}"
