from __future__ import annotations

import asyncio
import sqlite3
import threading
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from batchfill.errors import BudgetReached, LedgerFailed, StorageError
from batchfill.ledger.writer import Writer, open_writer

if TYPE_CHECKING:
    from collections.abc import Callable

Event = Any


def note(name: str) -> Event:
    return lambda db: db.execute("INSERT INTO facts VALUES (?)", (name,)).lastrowid


def own(owner: str) -> Event:
    """An event whose mistake SQLite finds only when it commits."""
    return lambda db: db.execute("INSERT INTO owned VALUES (?)", (owner,))


def refuse(name: str, error: Exception) -> Event:
    def event(db: sqlite3.Connection) -> None:
        note(name)(db)
        raise error

    return event


def noted(ask: Callable[[str], list[tuple[Any, ...]]]) -> list[str]:
    return sorted(name for (name,) in ask("SELECT name FROM facts"))


class Gate:
    """An event that keeps its group open until it is let go."""

    def __init__(self) -> None:
        self.entered = anyio.Event()
        self._loop = asyncio.get_running_loop()
        self._go = threading.Event()

    def __call__(self, db: sqlite3.Connection) -> None:
        self._loop.call_soon_threadsafe(self.entered.set)
        assert self._go.wait(30)

    def open(self) -> None:
        self._go.set()


async def together(writer: Writer, *events: Event) -> list[Any]:
    """Hand *events* over while an earlier group is written, so that they make one group."""
    gate = Gate()
    earlier = asyncio.create_task(writer.commit(gate))
    await gate.entered.wait()
    waiting = [asyncio.create_task(writer.commit(event)) for event in events]
    await asyncio.sleep(0)
    gate.open()
    await earlier
    return await asyncio.gather(*waiting, return_exceptions=True)


async def test_an_event_is_on_disk_when_its_commit_returns(
    writer: Writer, ask: Callable[[str], list[tuple[Any, ...]]]
) -> None:
    assert await writer.commit(note("a")) == 1
    assert noted(ask) == ["a"]


async def test_what_is_done_aside_is_undone_when_it_raises(writer: Writer) -> None:
    await writer.on_temp_tables(lambda db: db.execute("CREATE TEMP TABLE beside (name TEXT)"))

    def event(db: sqlite3.Connection) -> None:
        db.execute("INSERT INTO beside VALUES ('a')")
        raise BudgetReached("no")

    with pytest.raises(BudgetReached):
        await writer.on_temp_tables(event)
    assert await writer.read(lambda db: db.execute("SELECT * FROM beside").fetchall()) == []
    await writer.commit(note("a"))


async def test_events_that_wait_share_one_transaction(
    writer: Writer, ask: Callable[[str], list[tuple[Any, ...]]]
) -> None:
    groups = []
    writer.before_commit = lambda db: groups.append(db.in_transaction)
    answers = await together(writer, *(note(f"{n:02}") for n in range(50)))
    assert answers == list(range(1, 51))
    assert groups == [True, True]
    assert len(noted(ask)) == 50


async def test_others_see_nothing_of_a_group_before_all_of_it(
    writer: Writer, ask: Callable[[str], list[tuple[Any, ...]]]
) -> None:
    seen = []

    def look(db: sqlite3.Connection) -> None:
        note("b")(db)
        seen.append(noted(ask))

    await together(writer, note("a"), look)
    assert seen == [[]]
    assert noted(ask) == ["a", "b"]


@pytest.mark.parametrize(
    "error", [BudgetReached("the next row would pass --max-cost"), sqlite3.IntegrityError("UNIQUE")]
)
async def test_an_event_that_raises_is_undone_alone(
    writer: Writer, ask: Callable[[str], list[tuple[Any, ...]]], error: Exception
) -> None:
    answers = await together(writer, note("a"), refuse("b", error), note("c"))
    assert [isinstance(answer, int) for answer in answers] == [True, False, True]
    assert answers[1] is error
    assert noted(ask) == ["a", "c"]


async def test_an_event_of_a_waiter_that_gave_up_is_written_all_the_same(
    writer: Writer, ask: Callable[[str], list[tuple[Any, ...]]]
) -> None:
    gate = Gate()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(writer.commit, gate)
        await gate.entered.wait()
        impatient = asyncio.create_task(writer.commit(note("a")))
        patient = asyncio.create_task(writer.commit(note("b")))
        await asyncio.sleep(0)
        impatient.cancel()
        gate.open()
    await patient
    assert impatient.cancelled()
    assert noted(ask) == ["a", "b"]


async def test_a_waiter_that_gives_up_while_its_group_is_written_harms_no_other(
    writer: Writer, ask: Callable[[str], list[tuple[Any, ...]]]
) -> None:
    gate = Gate()
    impatient = asyncio.create_task(writer.commit(gate))
    await gate.entered.wait()
    impatient.cancel()
    gate.open()
    assert await writer.commit(note("a")) == 1
    assert impatient.cancelled()


async def test_closing_writes_what_still_waits(
    open_small: Callable[[], sqlite3.Connection], ask: Callable[[str], list[tuple[Any, ...]]]
) -> None:
    async with open_writer(open_small) as writer:
        waiting = [asyncio.create_task(writer.commit(note(name))) for name in "abc"]
        await asyncio.sleep(0)
    assert [await task for task in waiting] == [1, 2, 3]
    assert noted(ask) == ["a", "b", "c"]
    with pytest.raises(LedgerFailed, match="closed"):
        await writer.commit(note("d"))


async def test_a_cancelled_run_can_still_record_what_it_shields(
    open_small: Callable[[], sqlite3.Connection], ask: Callable[[str], list[tuple[Any, ...]]]
) -> None:
    with anyio.CancelScope() as run:
        async with open_writer(open_small) as writer:
            run.cancel()
            with anyio.CancelScope(shield=True):
                await writer.commit(note("a"))
    assert noted(ask) == ["a"]


async def test_a_failed_commit_fails_everybody_who_waited_for_it_and_leaves_nothing(
    writer: Writer, ask: Callable[[str], list[tuple[Any, ...]]]
) -> None:
    answers = await together(writer, note("a"), own("nobody"), note("b"))
    assert [type(answer) for answer in answers] == [LedgerFailed] * 3
    assert "could not be written" in str(answers[0])
    assert noted(ask) == []
    await writer.commit(note("c"))
    assert noted(ask) == ["c"]


async def test_a_full_disk_fails_the_whole_group(
    writer: Writer, ask: Callable[[str], list[tuple[Any, ...]]]
) -> None:
    (pages,) = await writer.read(lambda db: db.execute("PRAGMA page_count").fetchone())
    await writer.read(lambda db: db.execute(f"PRAGMA max_page_count = {pages}").fetchone())
    answers = await together(writer, note("a"), note("b" * 100_000), note("c"))
    assert [type(answer) for answer in answers] == [LedgerFailed] * 3
    assert "full" in str(answers[0])
    assert noted(ask) == []


async def test_a_full_disk_is_waited_for_and_only_what_must_not_wait_fails_at_once(
    writer: Writer, ask: Callable[[str], list[tuple[Any, ...]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("batchfill.ledger.writer.AGAIN_EVERY", 0.01)
    told: list[str | None] = []
    full, cleared = anyio.Event(), anyio.Event()

    def tell(lack: str | None) -> None:
        told.append(lack)
        (cleared if lack is None else full).set()

    writer.patience, writer.on_lack = 3600, tell
    (pages,) = await writer.read(lambda db: db.execute("PRAGMA page_count").fetchone())
    await writer.read(lambda db: db.execute(f"PRAGMA max_page_count = {pages}").fetchone())
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(writer.commit, note("a" * 100_000))
        await full.wait()
        assert writer.lack is not None
        with pytest.raises(StorageError, match="the disk is full"):
            await writer.commit(note("b" * 100_000), put_off=False)
        await writer.read(lambda db: db.execute("PRAGMA max_page_count = 1000000").fetchone())
    await cleared.wait()
    assert [len(name) for name in noted(ask)] == [100_000]
    assert told == ["the ledger could not be written: the disk is full; make room", None]
    assert writer.lack is None


async def test_whoever_gives_up_on_a_full_disk_is_told_what_was_not_written(writer: Writer) -> None:
    writer.patience, writer.on_lack = 3600, lambda lack: writer.give_up()
    (pages,) = await writer.read(lambda db: db.execute("PRAGMA page_count").fetchone())
    await writer.read(lambda db: db.execute(f"PRAGMA max_page_count = {pages}").fetchone())
    with pytest.raises(LedgerFailed, match="the disk is full"):
        await writer.commit(note("a" * 100_000))


async def test_a_question_that_cannot_be_answered_says_so(writer: Writer) -> None:
    with pytest.raises(LedgerFailed, match="could not be read"):
        await writer.read(lambda db: db.execute("SELECT * FROM nowhere"))


async def test_a_mistake_in_an_event_ends_the_writer_and_leaves_nobody_waiting(
    open_small: Callable[[], sqlite3.Connection],
) -> None:
    answers = []

    async def record(writer: Writer, event: Event) -> None:
        with anyio.CancelScope(shield=True):
            try:
                await writer.commit(event)
            except LedgerFailed as error:
                answers.append(error)

    async def run() -> None:
        async with open_writer(open_small) as writer, anyio.create_task_group() as tasks:
            for event in (note("a"), refuse("b", KeyError("seed")), note("c")):
                tasks.start_soon(record, writer, event)

    with pytest.raises(KeyError, match="seed"):
        await run()
    assert len(answers) == 3
