"""What was found out about files, remembered from one check to the next in a small database of its own."""

from __future__ import annotations

import json
import sqlite3
from contextlib import contextmanager, suppress
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from batchfill.ledger.statements import load_statements

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

MOST = 300_000
"""Values that are kept, those asked for last: some 60 MB. A row has three, its files' digests among them."""

_TOGETHER = 500
"""New values that are written together, so that an interrupted check loses no more than these."""
_DAY = 24 * 3600
_BUSY = 1.0
"""Seconds to wait for another check that writes."""
_SQL = "file_memory"


class FileMemory:
    """Values by the facts that they rest on. It never fails: what it cannot keep or read is not known."""

    def __init__(self, path: Path | None, today: int) -> None:
        """*path*: of the database, which is made for the first value; None: nothing is remembered."""
        self._path = path
        self._today = today
        self._new: dict[bytes, tuple[str, int]] = {}
        self._db: sqlite3.Connection | None = None
        if path is not None and path.exists():
            self._try(self._open)

    def recall(self, facts: Any) -> Any:
        """Return the value that rests on *facts*, which are JSON; None: it is not known."""
        key = _key_of(facts)
        known = self._new.get(key) or (self._try(lambda: self._ask(key)) if self._db else None)
        if not known:
            return None
        value, day = known
        if day != self._today:
            self._add(key, value)
        with suppress(ValueError):
            return json.loads(value)
        return None

    def note(self, facts: Any, value: Any) -> None:
        """Remember *value*, which is JSON and not None."""
        self._add(_key_of(facts), json.dumps(value, separators=(",", ":")))

    def close(self) -> None:
        """Write what is new, and forget what was not asked for longest, beyond MOST."""
        self._try(self._write)
        if self._db is not None:
            self._try(self._forget_oldest)
        if self._db is not None:
            self._db.close()
            self._db = None

    def _add(self, key: bytes, value: str) -> None:
        if self._path is None:
            return
        self._new[key] = value, self._today
        if len(self._new) >= _TOGETHER:
            self._try(self._write)

    def _try(self, act: Callable[[], Any]) -> Any:
        """Return what *act* returns; None, and nothing is remembered from now on, where that fails."""
        try:
            return act()
        except (sqlite3.Error, OSError) as error:
            self._give_up(damaged=isinstance(error, sqlite3.DatabaseError) and _is_damage(error))
        return None

    def _give_up(self, *, damaged: bool) -> None:
        if self._db is not None:
            self._db.close()
        if damaged and self._path is not None:
            # The next check begins another one.
            with suppress(OSError):
                self._path.unlink()
        self._db, self._path = None, None
        self._new.clear()

    def _open(self) -> None:
        assert self._path is not None
        self._db = sqlite3.connect(self._path, timeout=_BUSY, check_same_thread=False, isolation_level=None)
        for statement in load_statements(_SQL)["create"]:
            self._db.execute(statement)

    def _ask(self, key: bytes) -> tuple[str, int] | None:
        assert self._db is not None
        (statement,) = load_statements(_SQL)["recall"]
        found: tuple[str, int] | None = self._db.execute(statement, {"key": key}).fetchone()
        return found

    def _write(self) -> None:
        if self._path is None or not self._new:
            return
        if self._db is None:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._open()
        assert self._db is not None
        (statement,) = load_statements(_SQL)["note"]
        self._db.execute("BEGIN IMMEDIATE")
        self._db.executemany(statement, [(key, *value) for key, value in self._new.items()])
        self._db.execute("COMMIT")
        self._new.clear()

    def _forget_oldest(self) -> None:
        assert self._db is not None
        (count,), (forget,) = (load_statements(_SQL)[name] for name in ("count", "forget_oldest"))
        surplus = self._db.execute(count).fetchone()[0] - MOST
        if surplus > 0:
            self._db.execute(forget, {"surplus": surplus})


@contextmanager
def open_memory(path: Path | None, now: float) -> Iterator[FileMemory]:
    """Give the memory at *path*, and write what is new of it at the end.

    *path*: None: nothing is remembered. *now*: seconds since 1970.
    """
    memory = FileMemory(path, int(now // _DAY))
    try:
        yield memory
    finally:
        memory.close()


def _key_of(facts: Any) -> bytes:
    return blake2b(json.dumps(facts, sort_keys=True).encode(), digest_size=20).digest()


def _is_damage(error: sqlite3.DatabaseError) -> bool:
    return getattr(error, "sqlite_errorcode", None) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
