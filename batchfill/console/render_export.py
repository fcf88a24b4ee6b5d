"""What an export has brought about."""

from __future__ import annotations

from typing import TYPE_CHECKING

from batchfill.console.format import format_count, safe_text
from batchfill.domain.reports import Which

if TYPE_CHECKING:
    from collections.abc import Iterator

    from batchfill.domain.reports import Exported


def export_lines(exported: Exported) -> list[str]:
    """Return what was exported and where it is; a link that was not possible is said once."""
    return [
        *_picture_lines(exported),
        *_remark_lines(exported),
        f"table: {safe_text(exported.folder)}/{exported.table}",
    ]


def _picture_lines(exported: Exported) -> Iterator[str]:
    done = {"copied": exported.copied, "linked": exported.linked, "there already": exported.there}
    parts = ", ".join(f"{number:,} {word}" for word, number in done.items() if number)
    size = f" ({exported.size / 1e6:,.1f} MB)" if exported.copied else ""
    whose = "approved row" if exported.which is Which.APPROVED else "finished row"
    total = format_count(exported.copied + exported.linked + exported.there, "picture")
    yield f"{total} of {format_count(exported.rows, whose)}: {parts}{size}"


def _remark_lines(exported: Exported) -> Iterator[str]:
    if exported.running:
        yield "a run works on the batch: export again when it has ended, for the pictures to come"
    if exported.originals:
        where = f"{safe_text(exported.folder)} also holds {format_count(exported.originals, 'original')}"
        yield f"{where} of the batch: pictures from before and after are in one folder now"
    if exported.no_links:
        yield f"copied, since hard links are not possible there: {safe_text(exported.no_links)}"
    if exported.unmarked:
        yield (
            f"{format_count(exported.unmarked, 'linked picture')} without the mark of AI: "
            "only copies get it, so leave out --link where it is needed"
        )
    if exported.changed:
        yield f"{format_count(exported.changed, 'picture')} exported as edited since the night"
