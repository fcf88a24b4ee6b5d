"""What thousands of runs would make again is *made before*, by the program's own code, once a process.

That is the schema of a new ledger, and the hash of a token, which is slow on purpose: batches that tests make
get one of few salts.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from functools import cache
from itertools import cycle
from typing import TYPE_CHECKING

import pytest

from batchfill.domain.token import Token
from batchfill.ledger import database
from batchfill.session import identity

if TYPE_CHECKING:
    from collections.abc import Mapping

    from batchfill.settings.settings import Settings

SALTS = ("0" * 32, "1" * 32)
"""Two, so that the hash of one batch is not what another has."""

_salts = cycle(SALTS)
_account_facts = identity.account_facts
_migrate = database._migrate_schema
_migrations = database.list_migrations
_salted_hash = identity._salted_hash


@pytest.fixture(autouse=True, scope="session")
def _made_before() -> None:
    make_before()


def make_before() -> None:
    """Let this process copy the schema of a new ledger, and hash a token once a salt."""
    database._migrate_schema = _copy_schema
    hash_once()


def hash_once() -> None:
    """Let this process hash a token once a salt."""
    identity.account_facts = _salt_account_facts
    identity._salted_hash = lambda token, salt: _hash(token.reveal(), salt)


def hash_before(secret: str) -> None:
    """Hash *secret* now, for every batch of this process and its forks."""
    for salt in SALTS:
        _hash(secret, salt)


def _salt_account_facts(facts: Mapping[str, str], settings: Settings, account: str | None) -> dict[str, str]:
    return _account_facts({"token_salt": next(_salts), **facts}, settings, account)


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
