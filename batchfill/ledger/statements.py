"""Named statements, read from the .sql files next to this module."""

from __future__ import annotations

import re
import sqlite3
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_NAMED = re.compile(r":(\w+)")
"""A parameter; nothing else in our statements has a colon before a word."""


@cache
def load_statements(name: str) -> Mapping[str, tuple[str, ...]]:
    """Return the statements of `NAME.sql` by the name above each; a name may hold several, in order.

    Where `{FRAGMENT}` stands in one, the text below `-- fragment: FRAGMENT` is put.
    """
    text = files(__package__).joinpath(f"{name}.sql").read_text("utf-8")
    for fragment, body in re.findall(r"^-- fragment: (\w+)\n(.*?)\n\n", text, re.MULTILINE | re.DOTALL):
        text = text.replace(f"{{{fragment}}}", body)
    parts = re.split(r"^-- name: (\w+)\n", text, flags=re.MULTILINE)[1:]
    return {key: _split_statements(body) for key, body in zip(parts[::2], parts[1::2], strict=True)}


def run_statements(db: sqlite3.Connection, source: str, name: str, /, **values: Any) -> None:
    """Run every statement of *name* with the same values."""
    for statement in load_statements(source)[name]:
        _execute(db, statement, values)


def ask_rows(db: sqlite3.Connection, name: str, /, **values: Any) -> list[sqlite3.Row]:
    """Return the answer to one of the questions."""
    (statement,) = load_statements("queries")[name]
    return _execute(db, statement, values).fetchall()


def ask_value(db: sqlite3.Connection, name: str, /, **values: Any) -> Any:
    """Return the first value of the answer's first row; None when there is none."""
    (statement,) = load_statements("queries")[name]
    row = _execute(db, statement, values).fetchone()
    return None if row is None else row[0]


def _execute(db: sqlite3.Connection, statement: str, values: Mapping[str, Any]) -> sqlite3.Cursor:
    text, names = _by_place(statement)
    return db.execute(text, [values[name] for name in names])


@cache
def _by_place(statement: str) -> tuple[str, Sequence[str]]:
    """Return *statement* with its parameters known by their places, and the name at each place.

    For each name Python gives its lock away and takes it back: a third of the time of a long statement.
    """
    return _NAMED.sub("?", statement), _NAMED.findall(statement)


def _split_statements(body: str) -> tuple[str, ...]:
    statements, current = [], ""
    for line in body.splitlines(keepends=True):
        current += line
        if sqlite3.complete_statement(current):
            statements.append(current.strip())
            current = ""
    return tuple(statements)
