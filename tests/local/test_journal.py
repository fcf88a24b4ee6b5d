from __future__ import annotations

from typing import TYPE_CHECKING

from batchfill.local.journal import NAME, Journal, read_records
from batchfill.local.record import Record

if TYPE_CHECKING:
    from pathlib import Path


def record(id_: str) -> Record:
    return Record(id=id_, model="a/b", input={"seed": 1}, contents={}, digest="", created_at=1.5)


def test_what_was_written_is_read_again_in_order(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    for id_ in ("b", "a"):
        journal.add(record(id_))
    changed = journal.change(record("b"), status="succeeded", outputs=["out-0.webp"])
    assert read_records(tmp_path) == [changed, record("a")], "flushed, though not closed"
    journal.close()


def test_a_line_torn_by_a_kill_is_dropped(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.add(record("a"))
    journal.close()
    with (tmp_path / NAME).open("a") as file:
        file.write('{"id": "b", "mod')
    assert read_records(tmp_path) == [record("a")]
    journal = Journal(tmp_path)
    journal.add(record("c"))
    journal.close()
    assert read_records(tmp_path) == [record("a"), record("c")]


def test_an_empty_folder_has_no_predictions(tmp_path: Path) -> None:
    assert read_records(tmp_path / "none") == []
