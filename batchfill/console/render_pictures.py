"""What a look at every picture and mask has brought to light, in lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from batchfill.console.format import format_count, safe_text
from batchfill.console.render_plan import SHOWN

if TYPE_CHECKING:
    from collections.abc import Iterator

    from batchfill.domain.findings import LocatedFinding, PictureReport, Sizes, SizesCount

FEW = 3
"""Rows of one size that get a line each."""


def finding_lines(report: PictureReport, file: str) -> Iterator[str]:
    """Return a line a finding, the worst first, and how many rows have others; *file* holds the rows."""
    lines = [_found_line(found, file) for found in report.found]
    hidden = report.left_out + sum(found.rows for found in report.found[SHOWN:])
    yield from lines[:SHOWN]
    if hidden:
        yield f"… and {'1 more warning or note' if hidden == 1 else f'{hidden:,} more warnings or notes'}"


def kind_line(report: PictureReport) -> Iterator[str]:
    """Return how many rows have a finding of each kind."""
    if report.kinds:
        kinds = ", ".join(f"{kind.value} {rows:,}" for kind, rows in report.kinds.items())
        yield f"rows by what was found in their pictures: {kinds}"


def scale_lines(report: PictureReport) -> Iterator[str]:
    """Return at what size the model works: a line a row where few rows share sizes, else a line for all."""
    shown: list[str] = []
    hidden = report.other_scales
    for counted in report.scales:
        lines = list(_sizes_lines(counted))
        if len(shown) + len(lines) > SHOWN:
            hidden += counted.rows
        else:
            shown += lines
    yield from shown
    if hidden:
        yield f"… and {format_count(hidden, 'more row')} of other sizes"


def remote_line(report: PictureReport) -> Iterator[str]:
    """Return how many files were not looked at."""
    if report.remote:
        yield f"{format_count(report.remote, 'file')} at addresses not looked at: --fetch does"


def _found_line(found: LocatedFinding, file: str) -> str:
    others = f" (and {format_count(found.rows - 1, 'more row')})" if found.rows > 1 else ""
    finding = found.finding
    return f"{finding.severity.value}: {safe_text(f'{file}:{found.line}: {finding.text}')}{others}"


def _sizes_lines(counted: SizesCount) -> Iterator[str]:
    made_up = "{} of that is made up" if counted.scale.canvas else None
    if counted.rows <= FEW:
        for id_, cover in counted.first:
            filled = _filled_text(made_up or "its mask fills {}", cover, cover)
            yield f"{safe_text(id_)}: {_sizes_text(counted.scale, '')}{filled}"
    else:
        filled = _filled_text(made_up or "their masks fill {}", counted.least, counted.most)
        yield f"{_sizes_text(counted.scale, format_count(counted.rows, 'picture'))}{filled}"


def _sizes_text(scale: Sizes, pictures: str) -> str:
    """Return `4032x3024 is generated at 1152x864` of one picture, or of so many *pictures*."""
    own = _size_text(scale.picture)
    if scale.area is not None:
        own = f"{_size_text(scale.area)} around {'the' if pictures else 'its'} mask, of {own},"
    subject = f"{pictures}{':' if scale.area else ' of'} {own}" if pictures else own
    verb = "are" if pictures else "is"
    made = "" if scale.generated is None else f"generated at {_size_text(scale.generated)}"
    if scale.canvas is not None:
        return f"{subject} {verb} enlarged to {_size_text(scale.canvas)}{made and f', {made}'}"
    if not made:
        return f"{subject} {verb} sent" if scale.area else subject
    return f"{subject} {verb} {made}"


def _filled_text(words: str, least: float | None, most: float | None) -> str:
    if least is None or most is None:
        return ""
    low, high = _percent_text(least), _percent_text(most)
    return f"; {words.format(low if low == high else f'{low} to {high}')}"


def _percent_text(share: float) -> str:
    """Return `12%`, `0.4%` or `under 0.1%`."""
    if share < 0.001:
        return "under 0.1%"
    return f"{share:.1%}" if share < 0.01 else f"{share:.0%}"


def _size_text(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"
