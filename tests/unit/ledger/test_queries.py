"""What a run asks again and again is answered from an index, however many rows there are."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from batchfill.domain.rows import RowState
from batchfill.ledger import database, statements

if TYPE_CHECKING:
    from collections.abc import Iterator

WHOLE = {"results", "collected", "earlier", "extra_columns", "local_files", "prompt_asked"} | {
    "moved",
    "numbers_at",
    "numbers_named",
    "numbers_of",
    "words_at",
    "review_rows",
}
"""Questions about every row, or many; no run asks them while it works. A review asks some."""
NAMES = (
    "now",
    "after",
    "limit",
    "number",
    "key",
    "prediction_id",
    "folded_id",
    "file",
    "seed",
    "sha256",
    "origin",
    "name",
)
OTHERS = ("good_until", "path", "stamp", "anchor", "seconds", "first", "accepted_by", "times", "since")
VALUES = dict.fromkeys((*NAMES, *OTHERS), 1) | dict.fromkeys(
    ("ids", "keys", "without", "shown", "flags", "files", "contents"), "[]"
)


@pytest.fixture(scope="module")
def db() -> Iterator[sqlite3.Connection]:
    """A ledger without rows, of which plans are asked."""
    with closing(sqlite3.connect(":memory:")) as db:
        for _, script in database.list_migrations():
            db.executescript(script)
        yield db


@pytest.mark.parametrize("name", sorted(statements.load_statements("queries").keys() - WHOLE))
@pytest.mark.parametrize("state", [RowState.SUBMITTING, RowState.RUNNING, RowState.IN_DOUBT])
def test_no_question_of_a_run_looks_at_every_row(db: sqlite3.Connection, name: str, state: RowState) -> None:
    (statement,) = statements.load_statements("queries")[name]
    plan = db.execute(f"EXPLAIN QUERY PLAN {statement}", VALUES | {"state": state.value}).fetchall()
    steps = [step[-1] for step in plan]
    every = re.compile(r"\b(SCAN|SEARCH) (r|rows|mine|other|f|w|h)$")
    assert not list(filter(every.search, steps)), steps
