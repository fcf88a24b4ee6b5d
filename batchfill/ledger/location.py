"""Where the ledger's file stands, and putting it back when it was taken away under a run."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

from batchfill.systems import here

if TYPE_CHECKING:
    from pathlib import Path

LEDGER = "ledger.sqlite"
"""Its name in the batch folder."""

SAVED = "ledger.saved.sqlite"
"""What a run knew whose folder was taken away, and made again by another run, meanwhile."""

OTHER = "ledger.other.sqlite"
"""What stood in the ledger's place when it was put back."""


class LedgerLocation:
    """The place of a ledger that is open. On Windows what is open cannot be taken away."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = _file_at(path)

    @property
    def kept(self) -> bool:
        """Whether the file that was opened stands there still."""
        return _file_at(self.path) == self._file

    def put_back(self, db: sqlite3.Connection, *, beside: bool) -> Path:
        """Copy all of *db*, which is the open ledger, to its place and return where it is now.

        What stands there instead is kept as OTHER. *beside*: the place is left alone, and the copy is SAVED.
        A copy that is back is what has to be kept from now on. Raises OSError, sqlite3.Error.
        """
        target = self.path.with_name(SAVED) if beside else self.path
        copy = target.with_name(f"{target.name}.new")
        copy.unlink(missing_ok=True)
        with closing(sqlite3.connect(copy)) as other:
            db.backup(other)
        if not beside:
            self._make_way()
            self._file = _file_at(copy)
        here().replace_file(copy, target)
        return target

    def _make_way(self) -> None:
        if _file_at(self.path) not in (None, self._file):
            here().replace_file(self.path, self.path.with_name(OTHER))
        # They belong to the file that is gone, and SQLite would play them into this one.
        for side in ("-wal", "-shm"):
            self.path.with_name(self.path.name + side).unlink(missing_ok=True)


def _file_at(path: Path) -> tuple[int, int] | None:
    """Return what identifies the file at *path*, whatever it holds; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
