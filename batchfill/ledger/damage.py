"""What a ledger whose bytes went bad looks like: to SQLite, to the sense of its values, and in its log."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from functools import cache
from struct import unpack, unpack_from
from typing import TYPE_CHECKING

from batchfill.ledger import statements
from batchfill.regular_files import open_regular

if TYPE_CHECKING:
    from pathlib import Path
    from typing import IO

SIGNS = ("malformed", "not a database", "decode", "no such", "duplicate column", "already exists")
"""In the words of errors that a sound ledger never meets."""

AT_ONCE = 1000
"""Records whose text is read at once to see that all of it is text."""

HEADER, FRAME = 32, 24
"""Bytes at the log's beginning, and in front of each page of it."""

BIG_ENDIAN = 0x377F0683


def find(db: sqlite3.Connection, steps: tuple[tuple[int, str], ...]) -> str | None:
    """Return what is wrong with the ledger that *db* reads; None when nothing can be seen.

    *steps* are those that make a new one. A value that became another possible value cannot be seen. Raises
    sqlite3.DatabaseError for what is met on the way.
    """
    found: str = db.execute("PRAGMA quick_check(1)").fetchone()[0]
    if found != "ok":
        return found
    version = db.execute("PRAGMA user_version").fetchone()[0]
    if not _schema_of(steps, version).items() <= _schema(db).items():
        return "its tables are not those that batchfill makes"
    if version < steps[-1][0]:
        return None  # the questions are about the tables as they are now
    return _nonsense(db) or _undecodable(db)


def _schema(db: sqlite3.Connection) -> dict[str, str]:
    """Return the statements that *db* is made of, views left out: people may make some of their own."""
    return dict(db.execute("SELECT name, sql FROM sqlite_master WHERE type <> 'view'").fetchall())


@cache
def _schema_of(steps: tuple[tuple[int, str], ...], version: int) -> dict[str, str]:
    with closing(sqlite3.connect(":memory:")) as db:
        for number, script in steps:
            if number <= version:
                db.executescript(script)
        return _schema(db)


def _nonsense(db: sqlite3.Connection) -> str | None:
    """Return the first thing that the ledger says and that cannot be."""
    for name, (statement,) in statements.load_statements("damage").items():
        if not name.startswith("text_of") and db.execute(statement).fetchone() is not None:
            return name.replace("_", " ")
    return None


def _undecodable(db: sqlite3.Connection) -> str | None:
    """Read all text, many records joined: SQLite does not mind what bytes it is made of."""
    for name, (statement,) in statements.load_statements("damage").items():
        if name.startswith("text_of"):
            last, more = None, True
            while more:
                last, _ = db.execute(statement, {"last": last, "limit": AT_ONCE}).fetchone()
                more = last is not None
    return None


def find_in_log(log: Path) -> str | None:
    """Return what is wrong with the ledger's log; None when nothing can be seen, or there is none.

    Where a page of it went bad, SQLite passes over everything behind it in silence, as it does with what a
    power failure left unfinished at the end. A commit that has others behind it was on disk, however.
    """
    try:
        with open_regular(log) as file:
            return _lost_commits(file)
    except FileNotFoundError:
        return None
    except OSError as error:
        return f"its log cannot be read: {error.strerror}"


def _lost_commits(file: IO[bytes]) -> str | None:
    header = file.read(HEADER)
    if len(header) < HEADER or not any(header):
        return None
    magic, _, size, _, *salts, first, second = unpack(">8I", header)
    order = ">" if magic == BIG_ENDIAN else "<"
    sums = _summed(header[:24], order, (0, 0))
    if sums != (first, second):
        return "the header of its log"
    whole, committed = True, False
    for frame in iter(lambda: file.read(FRAME + size), b""):
        if len(frame) < FRAME + size:
            break
        _, pages, *of_frame, first, second = unpack_from(">6I", frame)
        ours = of_frame == salts
        if whole:
            sums = _summed(frame[FRAME:], order, _summed(frame[:8], order, sums))
            whole = ours and sums == (first, second)
        if not whole:
            if committed and ours:
                return "its log"
            committed = committed or pages > 0
    return None


def _summed(content: bytes, order: str, sums: tuple[int, int]) -> tuple[int, int]:
    """Return the sums of SQLite's log over *content*, going on from *sums*."""
    words = iter(unpack(f"{order}{len(content) // 4}I", content))
    first, second = sums
    for one, other in zip(words, words, strict=True):
        first = (first + one + second) & 0xFFFFFFFF
        second = (second + other + first) & 0xFFFFFFFF
    return first, second
