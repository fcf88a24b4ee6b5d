"""What is remembered of files comes back as it was, is bounded, and is never a reason to fail."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any

import pytest

from batchfill.ledger.caches import file_memory
from batchfill.ledger.caches.file_memory import open_memory

if TYPE_CHECKING:
    from pathlib import Path

DAY = 24 * 3600


def noted(path: Path, *values: Any, now: float = 0) -> None:
    """Remember each value by itself."""
    with open_memory(path, now) as memory:
        for value in values:
            memory.note(value, value)


def known(path: Path, *values: Any, now: float = 0) -> list[Any]:
    """Return those of *values* that are remembered."""
    with open_memory(path, now) as memory:
        return [value for value in values if memory.recall(value) == value]


def test_a_value_is_known_to_the_next_one_who_asks(tmp_path: Path) -> None:
    path = tmp_path / "caches" / "batchfill" / "seen.db"
    noted(path, "a", ["b", 2])
    assert known(path, "a", ["b", 2], "c", ["b", 3]) == ["a", ["b", 2]]


def test_without_a_place_nothing_is_remembered() -> None:
    with open_memory(None, 0) as memory:
        memory.note("a", "a")
        assert memory.recall("a") is None


def test_it_is_known_at_once(tmp_path: Path) -> None:
    with open_memory(tmp_path / "seen.db", 0) as memory:
        memory.note("a", 1)
        assert memory.recall("a") == 1


def test_nothing_is_written_where_nothing_is_new(tmp_path: Path) -> None:
    with open_memory(tmp_path / "new" / "seen.db", 0) as memory:
        assert memory.recall("a") is None
    assert list(tmp_path.iterdir()) == []


def test_what_was_asked_for_last_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_memory, "MOST", 3)
    path = tmp_path / "seen.db"
    noted(path, "a", "b", "c")
    assert known(path, "b", now=5 * DAY) == ["b"]
    noted(path, "d", "e", now=6 * DAY)
    assert known(path, "a", "b", "c", "d", "e", now=7 * DAY) == ["b", "d", "e"]


def test_an_interrupted_check_loses_the_last_few_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_memory, "_TOGETHER", 2)
    path = tmp_path / "seen.db"
    memory = file_memory.FileMemory(path, 0)
    for value in "abc":
        memory.note(value, value)
    assert known(path, "a", "b", "c") == ["a", "b"]
    memory.close()


@pytest.mark.parametrize("content", [b"", b"no database at all", b"SQLite format 3\0" + b"x" * 4096])
def test_a_damaged_memory_is_begun_again(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "seen.db"
    path.write_bytes(content)
    assert known(path, "a") == []
    noted(path, "a")
    assert known(path, "a") == ["a"]


def test_a_folder_in_its_place_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "seen.db"
    path.mkdir()
    noted(path, "a")
    assert known(path, "a") == []
    assert path.is_dir()


def test_a_file_in_the_place_of_its_folder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "caches").write_text("mine")
    noted(tmp_path / "caches" / "seen.db", "a")
    assert (tmp_path / "caches").read_text() == "mine"


def test_another_check_that_writes_is_not_waited_for_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_memory, "_BUSY", 0)
    path = tmp_path / "seen.db"
    noted(path, "a")
    with sqlite3.connect(path) as other:
        other.execute("BEGIN EXCLUSIVE")
        noted(path, "b")
        assert known(path, "a") == []
    other.close()
    assert known(path, "a", "b") == ["a"]
