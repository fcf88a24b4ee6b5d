"""Imports a manifest's rows in one transaction: all of them or none; or only tries it."""

from __future__ import annotations

import sqlite3
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from batchfill import filenames
from batchfill.domain.rows import RowState
from batchfill.ledger import database, ledger_rows, statements
from batchfill.ledger.writer import open_writer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
    from pathlib import Path

    from batchfill.domain.rows import Row
    from batchfill.ledger.writer import Writer


@dataclass(frozen=True, slots=True)
class Duplicate:
    """A row whose id an earlier row has already."""

    line: int
    id: str
    first_line: int
    first_id: str


@dataclass(frozen=True, slots=True)
class Group:
    """Incoming rows that the ledger knows in one state."""

    rows: int = 0
    outputs: int = 0
    """How many pictures they ask for."""
    price: int | None = 0
    """Of one attempt of each; None where one is not known."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """What the incoming rows mean for the ledger as it is."""

    groups: Mapping[RowState, Group]
    """By the state that the ledger knows them in; new ones are pending. Every state is there."""
    changed: int
    """New rows that replace a finished or running one."""
    price_changed: int | None


class RowImport:
    """One import: `add` every row, look at `duplicates` and `compare`, then `merge`.

    Until the merge nothing is written but temporary tables, which no flush waits for.
    """

    def __init__(self, writer: Writer, *, whole: bool = True) -> None:
        """Not *whole*: only to be looked at, so that what a merge alone needs is left out."""
        self._writer = writer
        self._whole = whole

    async def begin_import(self) -> None:
        """Make room for the incoming rows, next to the ledger's own."""
        await self._writer.read(_begin_import)

    async def add_rows(self, rows: Sequence[Row]) -> None:
        """Take a batch of rows."""
        (statement,) = statements.load_statements("import_rows")["add"]
        values = (ledger_rows.to_record(row, whole=self._whole) for row in rows)
        await self._writer.on_temp_tables(lambda db: db.executemany(statement, values))

    async def identify_rows(self) -> None:
        """Give every incoming row its key and, where it has none, its id."""
        await self._writer.on_temp_tables(_identify_rows)

    async def find_duplicates(self, limit: int) -> list[Duplicate]:
        """Return at most *limit* rows whose ids are taken."""
        (statement,) = statements.load_statements("import_rows")["duplicates"]
        found = await self._writer.read(lambda db: db.execute(statement, {"limit": limit}).fetchall())
        return [Duplicate(*record) for record in found]

    async def drop_duplicates(self) -> None:
        """Leave out every incoming row whose id an earlier one has."""
        await self._writer.on_temp_tables(
            lambda db: statements.run_statements(db, "import_rows", "drop_duplicates")
        )

    async def compare_rows(self) -> Comparison:
        """Say what the incoming rows mean, before anything is changed."""
        return await self._writer.on_temp_tables(_compare_rows)

    async def merge_rows(self, now: float, *, basis: str | None = None) -> None:
        """Make the incoming rows the ledger's: known keys keep all that happened, others become pending.

        *basis* is remembered with them, and nothing of an earlier one: what they rest on, so that the same
        rows need not be read again; None when they must be.
        """
        await self._writer.commit(
            lambda db: statements.run_statements(db, "import_rows", "merge", now=now, basis=basis)
        )

    async def end_import(self) -> None:
        """Forget the incoming rows."""
        await self._writer.on_temp_tables(lambda db: statements.run_statements(db, "import_rows", "end"))


def _begin_import(db: sqlite3.Connection) -> None:
    db.create_function("key_of", 2, filenames.key_of, deterministic=True)
    db.create_function("made_id", 2, filenames.made_id, deterministic=True)
    db.create_function("fold", 1, filenames.fold_case, deterministic=True)
    statements.run_statements(db, "import_rows", "begin")


def _identify_rows(db: sqlite3.Connection) -> None:
    try:
        # Most manifests hold no row twice: that is found out by the index that the comparison needs anyway.
        statements.run_statements(db, "import_rows", "index_keys")
    except sqlite3.IntegrityError:
        statements.run_statements(db, "import_rows", "number_equal")
        statements.run_statements(db, "import_rows", "index_keys")
    statements.run_statements(db, "import_rows", "index_ids")


def _compare_rows(db: sqlite3.Connection) -> Comparison:
    statements.run_statements(db, "import_rows", "find_leaving")
    queries = statements.load_statements("import_rows")
    found = {ledger_rows.to_state(r["state"]): _read_group(r) for r in db.execute(queries["compare"][0])}
    groups = {state: found.get(state, Group()) for state in RowState}
    changed = db.execute(queries["changed"][0]).fetchone()
    priced = groups[RowState.PENDING].price is not None
    return Comparison(groups, changed["rows"], (changed["price"] or 0) if priced else None)


def summarize_rows(db: sqlite3.Connection, states: Iterable[RowState]) -> Comparison:
    """Say what an import of the rows that are there would mean; pictures are counted in *states* only."""
    tally = {
        ledger_rows.to_state(record["state"]): record
        for record in statements.ask_rows(db, "tally")
        if not record["gone"]
    }
    asked = {state: statements.ask_value(db, "asked_for", state=state.value) for state in states}
    groups = {state: Group() for state in RowState}
    for state, record in tally.items():
        price = None if record["unpriced"] else record["price"]
        groups[state] = Group(record["rows"], asked.get(state, 0), price)
    return Comparison(groups, 0, None if groups[RowState.PENDING].price is None else 0)


def _read_group(record: sqlite3.Row) -> Group:
    return Group(record["rows"], record["outputs"], None if record["unpriced"] else record["price"])


@asynccontextmanager
async def open_scratch(ledger: Path) -> AsyncIterator[RowImport]:
    """Open an import that changes nothing: its rows go to a temporary file."""
    async with open_writer(lambda: _connect_scratch(ledger), begin="BEGIN") as writer:
        intake = RowImport(writer, whole=False)
        await intake.begin_import()
        yield intake


def _connect_scratch(ledger: Path) -> sqlite3.Connection:
    if database.is_there(ledger):
        db = database.open_to_read(ledger)
        # The connection cannot write the ledger all the same: it was opened read-only.
        db.execute("PRAGMA query_only = OFF")
        return db
    # An empty name is a temporary database on disk, which a million rows do not keep in memory.
    db = sqlite3.connect("", isolation_level=None, check_same_thread=False)
    db.row_factory = sqlite3.Row
    for _, script in database.list_migrations():
        db.executescript(script)
    return db
