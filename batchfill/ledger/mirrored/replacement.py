"""A ledger that was rebuilt elsewhere is put into its place."""

from __future__ import annotations

from contextlib import closing, suppress
from typing import TYPE_CHECKING

from batchfill.ledger import statements
from batchfill.ledger.database import flush_name, is_there, open_to_write
from batchfill.ledger.location import OTHER

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def replace_ledger(ledger: Path, rebuilt: Path, facts: Mapping[str, str]) -> Path | None:
    """Put *rebuilt* in the place of *ledger*, with these *facts*, and return where the one there is now.

    It is kept as OTHER; None: there was none. Raises LedgerError, OSError, with *ledger* as it was.
    """
    _remove_sides(rebuilt)
    with closing(open_to_write(rebuilt)) as db:
        for name, value in facts.items():
            statements.run_statements(db, "events", "remember", name=name, value=value)
    kept = _make_way(ledger)
    rebuilt.replace(ledger)
    flush_name(ledger)
    return kept


def _make_way(ledger: Path) -> Path | None:
    there, other = is_there(ledger), ledger.with_name(OTHER)
    other.unlink(missing_ok=True)
    _remove_sides(other)
    # Its log goes along, and first: it would be played into the ledger that comes.
    for side in ("-wal", ""):
        with suppress(FileNotFoundError):
            ledger.with_name(ledger.name + side).replace(other.with_name(other.name + side))
    _remove_sides(ledger)
    return other if there else None


def _remove_sides(ledger: Path) -> None:
    for side in ("-wal", "-shm"):
        ledger.with_name(ledger.name + side).unlink(missing_ok=True)
