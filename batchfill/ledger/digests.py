"""Digests of local files that are known from earlier, good while a file keeps its stamp."""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING

from batchfill.domain.rows import LocalFile, Stamp
from batchfill.errors import LedgerError
from batchfill.ledger import database, ledger_rows, statements

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

REMEMBERED = 10_000
"""Files kept at hand: rows that share a picture often stand together."""

SETTLED = 2.0
"""Seconds since its last change after which a file's times can be trusted to tell the next one."""


class Digests:
    """Answers from the ledger's memory, else by reading the file with *digest*."""

    def __init__(
        self, db: sqlite3.Connection | None, digest: Callable[[Path], LocalFile], now: Callable[[], float]
    ) -> None:
        self._db = db
        self._digest = digest
        self._now = now
        self._at_hand: dict[Path, LocalFile] = {}
        self._new: list[LocalFile] = []
        self.settled = True
        """Whether every file so far will show by its stamp when it is changed again."""

    def __call__(self, path: Path) -> LocalFile:
        """Return the file at *path* as it is now. Raises OSError when it cannot be read."""
        at_hand = self._at_hand.get(path)
        if at_hand is not None:
            return at_hand
        file = self._find_known(path) or self._read_digest(path)
        if len(self._at_hand) >= REMEMBERED:
            self._at_hand.clear()
        self._at_hand[path] = file
        return file

    def take_new(self) -> list[LocalFile]:
        """Return the files read since the last call, to be remembered."""
        new, self._new = self._new, []
        return new

    def _find_known(self, path: Path) -> LocalFile | None:
        if self._db is None:
            return None
        stamp = Stamp.of(path.stat())
        sha256 = statements.ask_value(self._db, "digest_of", path=str(path), stamp=ledger_rows.to_text(stamp))
        return None if sha256 is None else LocalFile(path, stamp, sha256)

    def _read_digest(self, path: Path) -> LocalFile:
        file = self._digest(path)
        changed_ns = max(file.stamp.mtime_ns, file.stamp.ctime_ns)
        if self._now() - changed_ns / 1e9 > SETTLED:
            self._new.append(file)
        else:
            self.settled = False
        return file


@contextmanager
def open_digests(
    ledger: Path, digest: Callable[[Path], LocalFile], now: Callable[[], float]
) -> Iterator[Digests]:
    """Open what the ledger at *ledger* remembers; without a ledger every file is read.

    Raises LedgerError, from whatever is asked inside, when the ledger cannot be read.
    """
    if not database.is_there(ledger):
        yield Digests(None, digest, now)
        return
    db = database.open_to_read(ledger)
    try:
        yield Digests(db, digest, now)
    except sqlite3.DatabaseError as error:
        raise LedgerError(f"{ledger}: {database.in_words(error)}") from error
    finally:
        db.close()
