"""A ledger with a clock of its own, rows to put into it, and questions asked from outside."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from hashlib import sha256
from itertools import count
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

from batchfill.domain.predictions import Prediction
from batchfill.domain.rows import Attempt, Row, RowSelection, RowState
from batchfill.ledger.ledger import Ledger, open_ledger
from batchfill.ledger.payments import Heading
from batchfill.ledger.writer import Writer, open_writer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from batchfill.ledger.import_rows import Comparison
    from batchfill.ledger.selection import SelectedRows

BASE = "https://api.example.com/v1"
HEADING = Heading("b", "f", "night.csv", "owner/model", "0")
PRICE = 40_000
"""Of the one output that a row asks for, in millionths."""

SCHEMA = """
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY);
CREATE TABLE IF NOT EXISTS owners (name TEXT PRIMARY KEY);
CREATE TABLE IF NOT EXISTS owned (owner TEXT REFERENCES owners (name) DEFERRABLE INITIALLY DEFERRED);
PRAGMA foreign_keys = ON;
"""
"""For a writer without a ledger; a wrong owner is found only when it is committed."""

T = TypeVar("T")


class Clock:
    """Stands still until a test moves it."""

    def __init__(self) -> None:
        self.time = 1_763_850_000.0

    def __call__(self) -> float:
        return self.time


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.sqlite"


@asynccontextmanager
async def _held(opening: AbstractAsyncContextManager[T]) -> AsyncIterator[T]:
    """Open *opening* in a task of its own: a task group must be left by the task that entered it."""
    done = asyncio.Event()
    opened: asyncio.Future[T] = asyncio.get_running_loop().create_future()

    async def hold() -> None:
        async with opening as it:
            opened.set_result(it)
            await done.wait()

    holding = asyncio.create_task(hold())
    try:
        yield await opened
    finally:
        done.set()
        await holding


@pytest.fixture
async def ledger(path: Path, clock: Clock) -> AsyncIterator[Ledger]:
    async with _held(open_ledger(path, clock)) as ledger:
        yield ledger


@pytest.fixture
def open_small(path: Path) -> Callable[[], sqlite3.Connection]:
    """Connect to a small database, for a writer without a ledger."""

    def open_small() -> sqlite3.Connection:
        db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        db.executescript(SCHEMA)
        return db

    return open_small


@pytest.fixture
async def writer(open_small: Callable[[], sqlite3.Connection]) -> AsyncIterator[Writer]:
    async with _held(open_writer(open_small)) as writer:
        yield writer


@pytest.fixture
def ask(path: Path) -> Callable[[str], list[tuple[Any, ...]]]:
    """Ask the ledger from outside, as a person with the sqlite3 command does."""

    def ask(question: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
            return db.execute(question).fetchall()

    return ask


@pytest.fixture
def row() -> Callable[..., Row]:
    """Return a row; *asks* stands for everything that it asks for, its id unless given."""

    def row(id_: str | None = "hero", *, asks: str | None = None, **changes: Any) -> Row:
        usual = Row(
            position=0,
            line=2,
            id=id_,
            stem="hero",
            inputs={"image": "images/hero.png", "mask": "masks/hero.png", "prompt": "a spaceship"},
            files={},
            extra={},
            fingerprint=sha256((asks or id_ or "").encode()).hexdigest(),
            outputs_asked=1,
            price=PRICE,
        )
        return replace(usual, **changes)

    return row


@pytest.fixture
def take_in(ledger: Ledger, clock: Clock) -> Callable[..., Awaitable[Comparison]]:
    """Import rows as the whole manifest, one a line from line 2 on; return what was known beforehand."""

    async def take_in(*rows: Row) -> Comparison:
        async with ledger.open_import() as intake:
            await intake.add_rows([replace(row, position=n, line=n + 2) for n, row in enumerate(rows)])
            await intake.identify_rows()
            comparison = await intake.compare_rows()
            await intake.merge_rows(clock())
        return comparison

    return take_in


@pytest.fixture
def intend(ledger: Ledger) -> Callable[..., Awaitable[Attempt]]:
    """Write the intent for the row with this id, which must be due."""
    seeds = count(1)

    async def intend(id_: str = "hero", *, seed: int | None = None) -> Attempt:
        (due,) = [due for due in await ledger.due_rows(10_000) if due.id == id_]
        attempt = await ledger.record_intent(
            due,
            seed=seed,
            choose_seed=None if seed else lambda: next(seeds),
            origin=BASE,
            sent=lambda chosen: {"prompt": "a spaceship", "seed": chosen},
            service_time=None,
        )
        assert attempt is not None
        return attempt

    return intend


@pytest.fixture
def accept(
    ledger: Ledger, intend: Callable[..., Awaitable[Attempt]], prediction: Callable[..., Prediction]
) -> Callable[..., Awaitable[Attempt]]:
    """Bring the row with this id to running."""

    async def accept(id_: str = "hero", prediction_id: str | None = None) -> Attempt:
        attempt = await intend(id_)
        made = prediction(prediction_id or f"p{attempt.number}", status="starting")
        return await ledger.record_accepted(attempt, made)

    return accept


@pytest.fixture
def retry(ledger: Ledger) -> Callable[..., Awaitable[SelectedRows]]:
    """Consent to another attempt of rows: in these states, or as the words of a RowSelection say."""

    async def retry(*states: RowState, **choice: Any) -> SelectedRows:
        chosen = await ledger.select(RowSelection(states=frozenset(states), **choice), dict, incoming=False)
        await ledger.retry_selected()
        return chosen

    return retry


@pytest.fixture
def prediction() -> Callable[..., Prediction]:
    def prediction(id_: str = "p1", status: str = "succeeded", **changes: Any) -> Prediction:
        usual = Prediction(
            id=id_,
            status=status,
            created_at=1_763_850_001.0,
            completed_at=1_763_850_011.5,
            outputs=("https://files.example.com/1.webp",),
        )
        return replace(usual, **changes)

    return prediction
