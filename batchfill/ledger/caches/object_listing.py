"""What buckets were listed to hold, on disk: a million objects take no memory."""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING

from batchfill.domain.objects import ObjectFile, folder_of_object
from batchfill.errors import MachineFailed
from batchfill.ledger.statements import load_statements

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_SQL = "object_listing"
_PAGES = 4000
"""KiB of the database that are held in memory."""
_FOLDERS = 64
"""Folders in which it is remembered where the last object was."""


class ObjectListing:
    """Objects by their address. Threads may use it one after the other."""

    def __init__(self) -> None:
        # An empty name: a file among the temporary ones that has no name, and goes with this connection.
        self._db = sqlite3.connect("", check_same_thread=False, isolation_level=None)
        self._db.execute(f"PRAGMA cache_size = -{_PAGES}")
        for statement in load_statements(_SQL)["create"]:
            self._db.execute(statement)
        (self._add,), (self._find,) = (load_statements(_SQL)[name] for name in ("add", "find"))
        self._behind: dict[str, sqlite3.Cursor] = {}
        """By folder: what gives the object behind the one that was found there last."""

    @contextmanager
    def adding(self) -> Iterator[None]:
        """Keep what is added inside whole or, where that raises, not at all.

        Raises MachineFailed where the folder of temporary files has no room for it.
        """
        self._behind.clear()
        self._db.execute("BEGIN")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException as error:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            if isinstance(error, sqlite3.OperationalError):
                raise MachineFailed(f"a listing cannot be kept among temporary files: {error}") from error
            raise

    def add(self, found: Iterable[ObjectFile]) -> None:
        """Add objects; one that is there stays as it was seen first."""
        self._db.executemany(self._add, found)

    def find(self, address: str) -> ObjectFile | None:
        """Return the object at *address*; None where none was listed."""
        folder = folder_of_object(address)
        # Rows mostly come in the order of their pictures: the next one takes a fifth of a search.
        if (behind := self._behind.get(folder)) is not None:
            found = behind.fetchone()
            if found is not None and found[0] == address:
                return ObjectFile(*found)
        found = self._search(folder, address).fetchone()
        return ObjectFile(*found) if found is not None and found[0] == address else None

    def _search(self, folder: str, address: str) -> sqlite3.Cursor:
        """Return what gives the objects from *address* on."""
        if folder not in self._behind and len(self._behind) >= _FOLDERS:
            self._behind.clear()
        asking = self._behind.setdefault(folder, self._db.cursor())
        return asking.execute(self._find, (address,))

    def neighbours(self, folder: str, most: int) -> list[str]:
        """Return addresses that begin with *folder*, *most* of them at most."""
        (statement,) = load_statements(_SQL)["neighbours"]
        return [record[0] for record in self._db.execute(statement, {"folder": folder, "most": most})]

    def close(self) -> None:
        """Let go of it, and of its file."""
        self._db.close()
