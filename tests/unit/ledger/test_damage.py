"""A ledger whose bytes went bad is told as damaged before anything is written."""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Any

import pytest

from batchfill.errors import LedgerError
from batchfill.ledger import database
from batchfill.ledger.reader import open_reader

if TYPE_CHECKING:
    from pathlib import Path

KEY = "ab" * 32
ROW = {
    "key": KEY,
    "fingerprint": "cd" * 32,
    "id": "r1",
    "folded_id": "r1",
    "position": 0,
    "line": 2,
    "image": "a.png",
    "mask": "m.png",
    "prompt": "a cat",
    "inputs": '{"prompt":"a cat"}',
    "files": "{}",
    "extra": "{}",
    "outputs_asked": 1,
    "price": 50_000,
    "state": "done",
    "attempt": 1,
    "placed_id": "r1",
}
ATTEMPT = {
    "number": 1,
    "key": KEY,
    "seed": 7,
    "own_seed": 1,
    "origin": "http://127.0.0.1/v1",
    "sent": "{}",
    "outputs_asked": 1,
    "price": 50_000,
    "outcome": "succeeded",
    "counted": 1,
    "intended_at": 1.0,
    "accepted_at": 2.0,
    "prediction_id": "p1",
}
OUTPUT = {
    "prediction_id": "p1",
    "n": 1,
    "url": "http://127.0.0.1/p1",
    "file": "outputs/r1.webp",
    "size": 9,
    "sha256": "e",
}


def insert(db: sqlite3.Connection, table: str, values: dict[str, Any]) -> None:
    names = ", ".join(values)
    db.execute(f"INSERT INTO {table} ({names}) VALUES ({', '.join('?' * len(values))})", [*values.values()])


@pytest.fixture
def sound(path: Path) -> Path:
    """A ledger with one finished row, and no log."""
    with closing(database.open_to_write(path)) as db:
        for table, values in (("attempts", ATTEMPT), ("rows", ROW), ("outputs", OUTPUT)):
            insert(db, table, values)
        db.execute("INSERT INTO facts VALUES ('started_at', '1700000000.5')")
    return path


def test_a_sound_ledger_is_opened(sound: Path) -> None:
    database.open_to_write(sound).close()


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE rows SET state = 'dooe'",
        "UPDATE rows SET key = 'ff' || substr(key, 3)",
        "UPDATE rows SET key = ''",
        "UPDATE rows SET id = CAST('r1' AS BLOB)",
        "UPDATE rows SET id = CAST(x'72ff' AS TEXT)",
        "UPDATE rows SET inputs = '{\"prompt\":'",
        "UPDATE rows SET files = '[]'",
        "UPDATE rows SET extra = CAST(x'7bff7d' AS TEXT)",
        "UPDATE rows SET attempt = 2",
        "UPDATE rows SET attempt = NULL",
        "UPDATE rows SET line = NULL",
        "UPDATE rows SET since = 'yesterday'",
        "UPDATE rows SET state = 'running'",
        "UPDATE rows SET state = 'submitting'",
        "UPDATE attempts SET key = 'ff' || substr(key, 3)",
        "UPDATE attempts SET prediction_id = NULL",
        "UPDATE attempts SET prediction_id = ''",
        "UPDATE attempts SET prediction_id = 'p3'",
        "UPDATE attempts SET outcome = 'opeo'",
        "UPDATE attempts SET outcome = 'open'",
        "UPDATE attempts SET sent = 'x'",
        "UPDATE attempts SET origin = CAST(origin AS BLOB)",
        "UPDATE attempts SET error = CAST(x'c3' AS TEXT)",
        "UPDATE outputs SET prediction_id = 'q1'",
        "UPDATE outputs SET url = CAST(x'68ff' AS TEXT)",
        "UPDATE outputs SET sha256 = NULL",
        "UPDATE tally SET rows = 3",
        "DELETE FROM tally",
        "UPDATE money SET price = price + 1",
        "UPDATE money SET outcome = 'failed'",
        "DROP TRIGGER attempts_ended",
        "DROP INDEX rows_by_id",
    ],
)
def test_what_batchfill_never_writes_is_told_as_damage_and_left_as_it_is(sound: Path, change: str) -> None:
    with closing(sqlite3.connect(sound, isolation_level=None)) as db:
        db.execute("PRAGMA ignore_check_constraints = ON")
        # Values change as if by themselves: nothing counts them.
        for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            text = db.execute("SELECT sql FROM sqlite_master WHERE name = ?", (name,)).fetchone()[0]
            if not change.startswith("DROP"):
                db.execute(f"DROP TRIGGER {name}")
                db.execute("CREATE TEMP TABLE IF NOT EXISTS kept (sql TEXT)")
                db.execute("INSERT INTO kept VALUES (?)", (text,))
        db.execute(change)
        if not change.startswith("DROP"):
            for (text,) in db.execute("SELECT sql FROM kept").fetchall():
                db.execute(text)
    before = sound.read_bytes()
    with pytest.raises(LedgerError, match="is damaged"):
        database.open_to_write(sound)
    assert sound.read_bytes() == before


@pytest.mark.parametrize("words", ["INDEX rows_kept", "NOT NULL", "rows_submitting", "CREATE TABLE", "CHECK"])
@pytest.mark.parametrize("at", [0, 3, -1])
def test_words_of_its_schema_that_are_no_text_any_more_are_told_as_damage(
    sound: Path, words: str, at: int
) -> None:
    """SQLite names what it cannot read as it stands in the file, which need not be text."""
    content = bytearray(sound.read_bytes())
    place = content.find(words.encode()) + range(len(words))[at]
    content[place] ^= 0x80
    sound.write_bytes(content)
    with pytest.raises(LedgerError, match="is damaged"):
        database.open_to_write(sound)
    # Some are not asked for by who only reads.
    with suppress(LedgerError):
        database.open_to_read(sound).close()


@pytest.mark.parametrize("value", ["yesterday", "17e"])
def test_a_fact_that_cannot_be_is_told_by_who_reads_it(sound: Path, value: str) -> None:
    with closing(sqlite3.connect(sound, isolation_level=None)) as db:
        db.execute("UPDATE facts SET value = ?", (value,))
    with pytest.raises(LedgerError, match="is damaged"), open_reader(sound) as reader:
        reader.metadata()


def test_rows_that_an_index_does_not_know_are_missed(sound: Path) -> None:
    """One byte of a key, in the index alone: the manifest's row would be taken for a new one."""
    content = bytearray(sound.read_bytes())
    table = content.find(KEY.encode())
    places = []
    while table != -1:
        places.append(table)
        table = content.find(KEY.encode(), table + 1)
    refused = 0
    for place in places:
        changed = bytearray(content)
        changed[place] ^= 1
        sound.write_bytes(changed)
        with pytest.raises(LedgerError, match="is damaged"):
            database.open_to_write(sound)
        refused += 1
    assert refused >= 4  # the table, its index, and the same of its attempts


@pytest.fixture
def killed(path: Path) -> Path:
    """A ledger as a killed run leaves it: three commits are in its log alone."""
    with closing(database.open_to_write(path)) as db:
        for n in range(3):
            db.execute("INSERT INTO facts VALUES (?, ?)", (f"fact {n}", "x"))
        copy = path.with_name("killed.sqlite")
        for side in ("", "-wal"):
            shutil.copy(f"{path}{side}", f"{copy}{side}")
    return copy


def log_of(path: Path) -> Path:
    return path.with_name(f"{path.name}-wal")


def flip(path: Path, at: int) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        (byte,) = file.read(1)
        file.seek(at)
        file.write(bytes([byte ^ 4]))


def test_a_log_is_opened_with_all_it_holds(killed: Path) -> None:
    with closing(database.open_to_write(killed)) as db:
        assert db.execute("SELECT count(*) FROM facts").fetchone()[0] == 3


@pytest.mark.parametrize("at", [0, 3, 9, 16, 22, 25, 32, 37, 41, 50, 100, 4000])
def test_a_log_that_lost_commits_is_told_as_damage(killed: Path, at: int) -> None:
    flip(log_of(killed), at)
    with pytest.raises(LedgerError, match=r"is damaged"):
        database.open_to_write(killed)


@pytest.mark.parametrize("left", [0, 10, 32, 100, -1, -4000])
def test_what_a_death_left_unfinished_at_the_end_of_the_log_is_no_damage(killed: Path, left: int) -> None:
    log = log_of(killed)
    os.truncate(log, left if left >= 0 else log.stat().st_size + left)
    with closing(database.open_to_write(killed)) as db:
        assert db.execute("SELECT count(*) FROM facts").fetchone()[0] < 3


def test_a_last_commit_that_went_bad_is_taken_for_unfinished(killed: Path) -> None:
    """As SQLite takes it: after a power failure it is."""
    log = log_of(killed)
    flip(log, log.stat().st_size - 50)
    with closing(database.open_to_write(killed)) as db:
        assert db.execute("SELECT count(*) FROM facts").fetchone()[0] == 2


def test_a_ledger_that_cannot_be_looked_at_is_not_taken_for_missing(
    sound: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Path, **_: Any) -> os.stat_result:
        raise OSError(5, "Input/output error", str(self))

    with monkeypatch.context() as patched:
        patched.setattr(type(sound), "stat", refuse)
        with pytest.raises(LedgerError, match="Input/output error"):
            database.is_there(sound)
