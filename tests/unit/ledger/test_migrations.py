"""Steps of the schema keep what ledgers hold that older versions made."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from batchfill.domain.rows import RowState
from batchfill.ledger import damage, database

if TYPE_CHECKING:
    from collections.abc import Iterator

CANCELED = 11
"""The step from which on a row may be canceled."""

ROW = """
INSERT INTO rows (rowid, key, fingerprint, id, folded_id, placed_id, position, line, image, mask, prompt,
    inputs, files, extra, outputs_asked, price, state, since, due_at, tries, attempt, error, kept, anew,
    new_prompt, new_seed)
VALUES (:n, 'k' || :n, 'f', 'Hero' || :n, 'hero' || :n, 'Hero' || :n, :n, :n + 1, 'a.png', 'b.png',
    'a boat', '{}', '{}', '{}', 4, 160000, :state, 17.5, 18.5, 2, :attempt, 'stopped', 1, 1, 'a ship', 77)
"""
ATTEMPT = """
INSERT INTO attempts (number, key, own_seed, origin, sent, outputs_asked, price, outcome, intended_at,
    prediction_id, cancel_asked)
VALUES (:n, 'k' || :n, 0, 'o', '{}', 4, 160000, :outcome, 1.0, 'p' || :n, 'user')
"""
BEFORE = {"failed": "canceled", "expired": "succeeded", "done": "succeeded", "pending": "failed"}
"""Rows of an older ledger, and how their attempts ended."""

TABLES = ("rows", "attempts", "tally", "money", "results", "counts")


@pytest.fixture
def older() -> Iterator[sqlite3.Connection]:
    """A ledger as it was before rows could be canceled."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
        _take(db, upto=CANCELED - 1)
        for n, (state, outcome) in enumerate(BEFORE.items(), 3):
            db.execute(ATTEMPT, {"n": 2 * n, "outcome": outcome})
            db.execute(ROW, {"n": 2 * n, "state": state, "attempt": 2 * n})
        yield db


def _take(db: sqlite3.Connection, *, upto: int, above: int = 0) -> None:
    for number, script in database.list_migrations():
        if above < number <= upto:
            db.executescript(f"BEGIN; {script} PRAGMA user_version = {number}; COMMIT;")


def _all_of(db: sqlite3.Connection) -> dict[str, list[Any]]:
    return {
        name: db.execute(f"SELECT rowid, * FROM {name} ORDER BY 1, 2").fetchall() for name in TABLES[:2]
    } | {name: db.execute(f"SELECT * FROM {name} ORDER BY 1, 2").fetchall() for name in TABLES[2:]}


def _columns(db: sqlite3.Connection) -> list[Any]:
    return db.execute("PRAGMA table_info(rows)").fetchall()


def _objects(db: sqlite3.Connection) -> dict[str, str]:
    said = "SELECT name, sql FROM sqlite_schema WHERE type <> 'table' OR name <> 'rows'"
    return dict(db.execute(said).fetchall())


def test_rows_of_older_ledgers_stay_what_they_were(older: sqlite3.Connection) -> None:
    before, columns, objects = _all_of(older), _columns(older), _objects(older)
    _take(older, above=CANCELED - 1, upto=CANCELED)
    assert _all_of(older) == before
    assert (_columns(older), _objects(older)) == (columns, objects)
    assert older.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
    assert older.execute("PRAGMA foreign_key_check").fetchall() == []


def test_a_migrated_ledger_takes_every_state_counts_it_and_is_not_called_damaged(
    older: sqlite3.Connection,
) -> None:
    steps = database.list_migrations()
    _take(older, above=CANCELED - 1, upto=steps[-1][0])
    for state in RowState:
        older.execute("UPDATE rows SET state = ? WHERE rowid = 6", [state])
        assert older.execute("SELECT rows FROM tally WHERE state = ? AND rows > 0", [state]).fetchall()
    with pytest.raises(sqlite3.IntegrityError, match="CHECK"):
        older.execute("UPDATE rows SET state = 'stopped'")
    older.execute("UPDATE rows SET state = 'canceled' WHERE rowid = 6")
    assert damage.find(older, steps) is None
