"""The rows of a report in files that a page loads one by one, as it scrolls.

A page that is opened from a file cannot fetch. So each piece is a script. A row piece holds whole rows.
An index piece holds only what rows are filtered and sorted by.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from batchfill.review.document import encode_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

INDEXED = ("id", "line", "state", "decision", "cost", "run_time", "ended_at")
FIELDS = [*INDEXED, "flags"]
"""What an entry of the index holds of a row; its flags only where it has some."""

ROWS, INDEX = "rows", "index"

ROW_BYTES = 250_000
"""From which on a row piece is full; one row more may be in it."""

INDEX_ROWS = 2500
"""In an index piece. Ids are short, so that it holds no more than 2 MB whatever is in it."""


class PieceWriter:
    """Writes pieces into a folder."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._folder = folder
        self._lines: list[bytes] = []
        self._size = 0
        self._entries: list[list[Any]] = []
        self._starts: dict[str, list[int]] = {ROWS: [0], INDEX: [0]}

    def add(self, row: Mapping[str, Any]) -> None:
        """Add the next row of the manifest."""
        line = encode_json(row).encode()
        self._lines.append(line)
        self._size += len(line)
        if self._size >= ROW_BYTES:
            self._write_rows()
        self._entries.append(index_entry(row))
        if len(self._entries) >= INDEX_ROWS:
            self._write_index()

    def finish(self) -> dict[str, list[Any]]:
        """Write what is left, and return what the page has to know of the pieces.

        For each kind: the number of each piece's first row, and that behind the last row.
        """
        if self._lines:
            self._write_rows()
        if self._entries:
            self._write_index()
        return {**self._starts, "fields": FIELDS}

    def _write_rows(self) -> None:
        self._write(ROWS, b",\n".join(self._lines), len(self._lines))
        self._lines, self._size = [], 0

    def _write_index(self) -> None:
        self._write(INDEX, encode_json(self._entries)[1:-1].encode(), len(self._entries))
        self._entries = []

    def _write(self, kind: str, content: bytes, rows: int) -> None:
        starts = self._starts[kind]
        name = f"{kind}-{len(starts) - 1}"
        (self._folder / f"{name}.js").write_bytes(b'pieces["%s"]=[\n%s\n];\n' % (name.encode(), content))
        starts.append(starts[-1] + rows)


def index_entry(row: Mapping[str, Any]) -> list[Any]:
    """Return what a row of the document is filtered and sorted by: the values of FIELDS."""
    entry = [row.get(name) for name in INDEXED]
    flags = {flag for output in row.get("outputs", ()) for flag in output.get("flags", ())}
    return [*entry, sorted(flags)] if flags else entry


def read_rows(folder: Path) -> Iterator[bytes]:
    """Yield the rows of each row piece in *folder*, as they stand in the document."""
    number = 0
    while (piece := folder / f"{ROWS}-{number}.js").exists():
        yield piece.read_bytes().partition(b"\n")[2].removesuffix(b"\n];\n")
        number += 1
