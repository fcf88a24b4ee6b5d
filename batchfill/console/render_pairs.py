"""What two folders come to, in lines that leave no file out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from batchfill.console.format import format_count, safe_text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from batchfill.domain.pairs import Pairing

SHOWN = 20
"""Files that are left out for one reason, and named."""


def pairing_lines(found: Pairing) -> Iterator[str]:
    """Return a line a file that has no row, with the reason; many files of one reason share a line."""
    for path in (*found.alone_images, *found.alone_masks):
        yield _alone_line(path, found.elsewhere.get(path))
    for files in found.ambiguous:
        yield f"which belong together? {', '.join(safe_text(str(file)) for file in files)}"
    reasons: dict[str, list[str]] = {}
    for path, reason in found.left_out:
        reasons.setdefault(reason, []).append(f"left out: {safe_text(str(path))} ({reason})")
    for reason, lines in reasons.items():
        yield from lines[:SHOWN]
        if more := len(lines[SHOWN:]):
            yield f"… and {format_count(more, 'more file')} ({reason})"


def total_lines(found: Pairing, manifest: Path | None, *, prompt: bool) -> Iterator[str]:
    """Return what was written to *manifest* (None: printed), and what is still to be done about it."""
    yield f"{format_count(len(found.pairs), 'pair')}{f' in {manifest}' if manifest else ''}"
    if found.outside:
        yield (
            f"{format_count(found.outside, 'pair')} outside the manifest's folders, or hidden: "
            "`check` and `run` take them with --allow-outside"
        )
    if not prompt:
        yield "no prompts yet: fill the column in, or give one to all rows with `--set prompt=…`"


def _alone_line(path: Path, partner: Path | None) -> str:
    hint = f" ({safe_text(str(partner))} has its name, but lies in another folder)" if partner else ""
    return f"alone: {safe_text(str(path))}{hint}"
