"""What thousands of runs would make again is *made before*, by the program's own code, once a process.

That is the schema of a new ledger, and the hash of a token, which is slow on purpose.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from functools import cache

import pytest

from batchfill.domain.token import Token
from batchfill.ledger import database
from batchfill.session import identity

_migrate = database._migrate_schema
_migrations = database.list_migrations
_salted_hash = identity._salted_hash


@pytest.fixture(autouse=True, scope="session")
def _made_before() -> None:
    make_before()


def make_before() -> None:
    """Let this process copy the schema of a new ledger, and hash a token once a salt."""
    database._migrate_schema = _copy_schema
    identity._salted_hash = lambda token, salt: _hash(token.reveal(), salt)


def _copy_schema(db: sqlite3.Connection) -> None:
    """Give a new ledger its schema, and migrate others."""
    if database.list_migrations is _migrations and not db.execute("SELECT 1 FROM sqlite_schema").fetchone():
        with closing(sqlite3.connect(":memory:")) as made:
            made.deserialize(_schema())
            made.backup(db)
    _migrate(db)


@cache
def _hash(secret: str, salt: str) -> str:
    return _salted_hash(Token(secret), salt)


@cache
def _schema() -> bytes:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as made:
        _migrate(made)
        return made.serialize()
