"""An import that is only tried: beside a ledger that is read, or beside an empty one."""

from __future__ import annotations

import sqlite3
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from batchfill.ledger import storage
from batchfill.ledger.intake import Intake
from batchfill.ledger.writer import open_writer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@asynccontextmanager
async def open_scratch(ledger: Path) -> AsyncIterator[Intake]:
    """Open an import that changes nothing: its rows go to a temporary file."""
    async with open_writer(lambda: _connect(ledger), begin="BEGIN") as writer:
        intake = Intake(writer, whole=False)
        await intake.begin()
        yield intake


def _connect(ledger: Path) -> sqlite3.Connection:
    if storage.is_there(ledger):
        db = storage.open_to_read(ledger)
        # The connection cannot write the ledger all the same: it was opened read-only.
        db.execute("PRAGMA query_only = OFF")
        return db
    # An empty name is a temporary database on disk, which a million rows do not keep in memory.
    db = sqlite3.connect("", isolation_level=None, check_same_thread=False)
    db.row_factory = sqlite3.Row
    for _, script in storage.migrations():
        db.executescript(script)
    return db
