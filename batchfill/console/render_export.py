"""What an export has brought about."""

from __future__ import annotations

from typing import TYPE_CHECKING

from batchfill.console.format import count, safe
from batchfill.domain.reports import Which

if TYPE_CHECKING:
    from collections.abc import Iterator

    from batchfill.domain.reports import Exported


def export_lines(exported: Exported) -> list[str]:
    """Return what was exported and where it is; a link that was not possible is said once."""
    return [*_pictures(exported), *_remarks(exported), f"table: {safe(exported.folder)}/{exported.table}"]


def _pictures(exported: Exported) -> Iterator[str]:
    done = {"copied": exported.copied, "linked": exported.linked, "there already": exported.there}
    parts = ", ".join(f"{number:,} {word}" for word, number in done.items() if number)
    size = f" ({exported.size / 1e6:,.1f} MB)" if exported.copied else ""
    whose = "approved row" if exported.which is Which.APPROVED else "finished row"
    total = count(exported.copied + exported.linked + exported.there, "picture")
    yield f"{total} of {count(exported.rows, whose)}: {parts}{size}"


def _remarks(exported: Exported) -> Iterator[str]:
    if exported.no_links:
        yield f"copied, since hard links are not possible there: {safe(exported.no_links)}"
    if exported.changed:
        yield f"{count(exported.changed, 'picture')} exported as edited since the night"
