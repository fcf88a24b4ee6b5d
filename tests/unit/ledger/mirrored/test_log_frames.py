from __future__ import annotations

import io
import random
import secrets
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from batchfill.ledger.database import open_to_write
from batchfill.ledger.mirrored import log_frames
from batchfill.ledger.mirrored.log_frames import LogFrames, TooManyPages, apply_frames
from batchfill.ledger.mirrored.mirrored_commits import copy_ledger

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    return tmp_path / "ledger.sqlite"


@pytest.fixture
def db(ledger: Path) -> Iterator[sqlite3.Connection]:
    with closing(open_to_write(ledger)) as opened:
        opened.execute("PRAGMA synchronous = OFF")
        yield opened


def write(db: sqlite3.Connection, *names: str, size: int = 10, end: str = "COMMIT") -> None:
    db.execute("BEGIN IMMEDIATE")
    for name in names:
        db.execute(
            "INSERT INTO facts VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value",
            (name, "x" * size),
        )
    db.execute(end)


def facts(ledger: Path) -> list[tuple[str, str]]:
    with closing(sqlite3.connect(ledger)) as opened:
        assert opened.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        return opened.execute("SELECT * FROM facts ORDER BY name").fetchall()


def test_a_copy_with_the_pages_of_each_commit_is_the_ledger_whatever_was_committed_or_undone(
    ledger: Path, db: sqlite3.Connection, tmp_path: Path
) -> None:
    seed = secrets.randbits(32)
    print(f"random.Random({seed})")
    chance = random.Random(seed)
    frames, copy = LogFrames(ledger), tmp_path / "copy.sqlite"
    db.execute("PRAGMA wal_autocheckpoint = 20")  # so that the log begins again now and then
    db.execute("PRAGMA cache_size = 5")  # and what is undone is in it all the same
    write(db, "before")
    frames.skip()
    copy_ledger(ledger, copy)
    with copy.open("r+b") as file:
        for _ in range(60):
            names = [f"n{chance.randint(0, 99)}" for _ in range(chance.randint(1, 12))]
            write(db, *names, size=chance.randint(1, 9000), end=chance.choice(["COMMIT"] * 4 + ["ROLLBACK"]))
            if chance.random() < 0.1:
                db.execute("DELETE FROM facts WHERE name < 'n5'")
                db.execute("VACUUM")
            apply_frames(file, frames.take())

    assert facts(copy) == facts(ledger)


def test_what_was_taken_is_not_taken_again(ledger: Path, db: sqlite3.Connection) -> None:
    frames = LogFrames(ledger)
    write(db, "a")

    assert frames.take()
    assert frames.take() == b""


def test_what_was_undone_is_not_taken(ledger: Path, db: sqlite3.Connection) -> None:
    frames = LogFrames(ledger)
    frames.skip()
    db.execute("PRAGMA cache_size = 5")
    write(db, *(f"n{i}" for i in range(50)), size=4000, end="ROLLBACK")

    assert frames.take() == b""


def test_a_ledger_without_a_log_has_nothing_to_take(tmp_path: Path) -> None:
    assert LogFrames(tmp_path / "none.sqlite").take() == b""


def test_more_than_is_taken_at_once_is_said_and_counts_as_taken(
    ledger: Path, db: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_frames, "LARGEST", 3 * 4096)
    frames = LogFrames(ledger)
    frames.skip()
    write(db, *(f"n{i}" for i in range(20)), size=4000)

    with pytest.raises(TooManyPages):
        frames.take()
    write(db, "b")
    assert 0 < len(frames.take()) <= 3 * 4200


@pytest.mark.parametrize("taken", [b"\0", b"\0" * 8, b"\0\0\x10\0\0\0\0\1" + b"\0" * 99], ids=len)
def test_pages_that_are_not_whole_are_refused(taken: bytes) -> None:
    with pytest.raises(ValueError, match="not whole"):
        apply_frames(io.BytesIO(), taken)
