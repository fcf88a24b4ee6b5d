"""The pieces of a report: every row is in one of them, and none is large."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from batchfill.review import pieces
from batchfill.review.pieces import PieceWriter, read_rows

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

MOST_BYTES = 2_000_000
"""Of any file that the page loads."""


def row(n: int, **fields: Any) -> dict[str, Any]:
    return {"id": f"r{n}", "line": n + 2, "state": "done", "prompt": f"picture {n}", **fields}


def written(folder: Path, rows: Sequence[dict[str, Any]]) -> dict[str, list[Any]]:
    """Write *rows* in pieces; return what the page is told of them."""
    writer = PieceWriter(folder)
    for one in rows:
        writer.add(one)
    return writer.finish()


def content_of(folder: Path, kind: str, n: int) -> list[Any]:
    """Return what a piece leaves for the page."""
    name = f"{kind}-{n}"
    before, _, after = (folder / f"{name}.js").read_text("utf-8").partition("=")
    assert before == f'pieces["{name}"]'
    found: list[Any] = json.loads(after.removesuffix(";\n"))
    return found


@pytest.mark.parametrize("number", [0, 1, 39, 40, 41, 200])
def test_every_row_is_in_one_piece_which_the_page_finds_by_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.setattr(pieces, "ROW_BYTES", 1000)
    monkeypatch.setattr(pieces, "INDEX_ROWS", 40)
    rows = [row(n) for n in range(number)]
    told = written(tmp_path / "pieces", rows)
    for kind, field in (("rows", "id"), ("index", 0)):
        starts = told[kind]
        found = [content_of(tmp_path / "pieces", kind, n) for n in range(len(starts) - 1)]
        assert [len(piece) for piece in found] == [end - start for start, end in pairwise(starts)]
        assert [one[field] for piece in found for one in piece] == [one["id"] for one in rows]
    assert told["rows"][-1] == told["index"][-1] == number
    whole = b",\n".join(read_rows(tmp_path / "pieces"))
    assert json.loads(b"[" + whole + b"]") == rows


def test_an_index_holds_what_rows_are_filtered_and_sorted_by(tmp_path: Path) -> None:
    outputs = [{"n": 1, "flags": ["drift", "blank"]}, {"n": 2, "flags": ["blank"]}, {"n": 3}]
    ended = {"run_time": 1.5, "ended_at": "2026-11-30T03:13:22Z"}
    decided = row(0, decision="approved", cost=0.04, outputs=outputs, **ended)
    told = written(tmp_path / "pieces", [decided, row(1, state="pending")])
    found = content_of(tmp_path / "pieces", "index", 0)
    # What stands last is left out where there is none.
    entries = [dict(zip(told["fields"], entry, strict=False)) for entry in found]
    assert entries[0] == {
        "id": "r0", "line": 2, "state": "done", "decision": "approved", "cost": 0.04, "run_time": 1.5,
        "ended_at": "2026-11-30T03:13:22Z", "flags": ["blank", "drift"],
    }  # fmt: skip
    assert {name: value for name, value in entries[1].items() if value is not None} == {
        "id": "r1",
        "line": 3,
        "state": "pending",
    }


@pytest.mark.parametrize("letter", ["a", "é", "画", "🌊", '"', "\\", "\x01", "<", "\u2028"])
def test_no_piece_is_large_however_long_the_cells_are(tmp_path: Path, letter: str) -> None:
    """A cell may have 100,000 characters, and an id 100."""
    rows = [row(n, id=f"{n:03}{'é' * 97}", prompt=letter * 100_000) for n in range(3)]
    rows += [row(n, id=f"{n:04}{'é' * 96}") for n in range(pieces.INDEX_ROWS + 1)]
    told = written(tmp_path / "pieces", rows)
    sizes = {file.name: file.stat().st_size for file in (tmp_path / "pieces").iterdir()}
    assert max(sizes.values()) < MOST_BYTES
    assert len(told["rows"]) > 3
    assert content_of(tmp_path / "pieces", "rows", 0)[0]["prompt"] == letter * 100_000
