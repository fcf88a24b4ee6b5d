"""The one writing connection: many waiting callers share a transaction."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import aiosqlite
import anyio
from anyio import to_thread

from batchfill.errors import BatchfillError, LedgerFailed, StorageError, TakenOver, unwrap_single

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from batchfill.ledger.mirrored.mirrored_commits import MirroredCommits

T = TypeVar("T")
Event = Callable[[sqlite3.Connection], T]
_Outcome = tuple[Any, Exception | None]
"""What an event returned, or why it was undone."""


@dataclass(frozen=True, slots=True)
class _Waiting:
    """An event that a caller waits for."""

    event: Event[Any]
    future: asyncio.Future[Any]
    put_off: bool
    """Whether it waits for room on a full disk; else it fails at once."""

    def end(self, result: Any, trouble: Exception | None) -> None:
        """Tell who waits, unless they gave up, what came of it."""
        if self.future.done():
            return
        if trouble is None:
            self.future.set_result(result)
        else:
            self.future.set_exception(trouble)


AGAIN_EVERY = 3.0
"""Seconds between two tries to write to a disk that takes nothing."""

NO_ROOM = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR})
"""Answers of SQLite that may be others in a while: a full disk may be cleared."""

GATHER_TIME = 0.02
"""Seconds for which an event without a payment waits for one with a payment."""


class _Connection(aiosqlite.Connection):
    async def run_on_thread(self, call: Callable[[sqlite3.Connection], T]) -> T:
        """Run *call* on the connection's thread: a transaction is one hop, not one a statement."""
        result: T = await self._execute(call, self._conn)  # type: ignore[no-untyped-call]
        return result


class Writer:
    """Commits events in groups: while one group is flushed to disk the next one gathers."""

    def __init__(self, connection: _Connection, begin: str) -> None:
        self._connection = connection
        self._begin = begin
        self._waiting: list[_Waiting] = []
        self._wake = anyio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._closing = False
        self._given_up = anyio.Event()
        self.patience = 0.0
        """Seconds for which events wait for room on a full disk."""
        self.mirror: MirroredCommits | None = None
        """Has each group mirrored before its callers go on; None: nothing is mirrored."""
        self._lack: str | None = None
        self.on_lack: Callable[[str | None], None] = _untold
        """Is told when `lack` changes."""
        self.before_commit: Event[None] = _do_nothing
        """Runs once at the end of each group's transaction."""
        self.committed: Event[None] = _do_nothing
        """Runs after each group that was committed and mirrored, outside of its transaction."""
        self.on_rollback: Event[None] = _do_nothing
        """Runs after a group that could not be committed, outside of a transaction."""

    @property
    def lack(self) -> str | None:
        """Why nothing can be written now, or mirrored, and is tried again; None: it can."""
        return self._lack or (self.mirror.lack if self.mirror else None)

    async def commit(self, event: Event[T], *, urgent: bool = True, put_off: bool = True) -> T:
        """Return what *event* returned once it is on disk.

        One that is not *urgent* lets a group gather first: each costs a flush of the disk. An event that
        raises is undone alone, and the others of its group run once more. On a full disk it waits for room;
        one that must not be *put_off* raises StorageError at once. Raises LedgerFailed when the group could
        not be written.
        """
        if self._closing:
            raise LedgerFailed("the ledger is closed already")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._waiting.append(_Waiting(event, future, put_off))
        if urgent:
            self._begin_now()
        elif self._timer is None:
            self._timer = loop.call_later(GATHER_TIME, self._begin_now)
        return await future

    async def read(self, question: Callable[[sqlite3.Connection], T]) -> T:
        """Return the answer to a question, on what is committed."""
        try:
            return await self._connection.run_on_thread(question)
        except sqlite3.Error as error:
            raise LedgerFailed(f"the ledger could not be read: {error}") from error

    async def on_temp_tables(self, event: Event[T]) -> T:
        """Return what *event* returned, which writes temporary tables alone; the ledger is not touched.

        An event that raises is undone. Raises LedgerFailed when the tables could not be written.
        """
        try:
            return await self._connection.run_on_thread(lambda db: _apply_alone(db, event))
        except sqlite3.Error as error:
            raise LedgerFailed(f"the ledger could not be written: {_in_words(error)}") from error

    async def serve(self) -> None:
        """Commit what waits, until closed."""
        while self._waiting or not self._closing:
            if not self._closing:
                await self._wake.wait()
            self._wake = anyio.Event()
            group, self._waiting = self._waiting, []
            if not group:
                continue
            try:
                await self._commit_group(group)
            except BaseException:
                # A task that waits behind a shield would wait without end.
                self._closing = True
                _abandon_waiting([*group, *self._waiting])
                raise

    def give_up(self) -> None:
        """Wait for no more room on a full disk, neither now nor later."""
        self._given_up.set()

    def close(self) -> None:
        """Let `serve` end once nothing waits."""
        self._closing = True
        self._begin_now()

    def _begin_now(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._wake.set()

    async def _commit_group(self, group: list[_Waiting]) -> None:
        """Write *group*, with those that come meanwhile, however long the disk has no room for it."""
        since = anyio.current_time()
        # Without any the disk is tried all the same: nothing else would find out that it has room again.
        while group or not self._closing:
            events = [one.event for one in group]
            try:
                outcomes = await self._write_group(events)
            except TakenOver as error:
                outcomes = [(None, error)] * len(group)
            except sqlite3.Error as error:
                failure = f"the ledger could not be written: {_in_words(error)}"
                if not self._may_wait(error, since):
                    outcomes = [(None, LedgerFailed(failure))] * len(group)
                else:
                    group = await self._until_next_try(group, failure)
                    continue
            self._tell(None)
            for waiting, (result, trouble) in zip(group, outcomes, strict=True):
                waiting.end(result, trouble)
            return

    async def _write_group(self, events: list[Event[Any]]) -> list[_Outcome]:
        """Have *events* on disk, and mirrored. Raises sqlite3.Error, TakenOver."""
        if self.mirror is None:
            return await self._connection.run_on_thread(partial(self._apply_group, events, self.committed))
        async with self.mirror.one_at_a_time:
            outcomes = await self._connection.run_on_thread(partial(self._apply_group, events, _do_nothing))
            await self.mirror.follow_commit()
        await self._connection.run_on_thread(self.committed)
        return outcomes

    def _may_wait(self, error: sqlite3.Error, since: float) -> bool:
        """Whether what could not be written then may be written later, and there is time for that."""
        kind = getattr(error, "sqlite_errorcode", 0) & 0xFF
        over = anyio.current_time() - since >= self.patience
        return kind in NO_ROOM and not over and not self._given_up.is_set()

    async def _until_next_try(self, group: list[_Waiting], failure: str) -> list[_Waiting]:
        """Return what to try to write, after a while."""
        self._tell(failure)
        for waiting in group:
            if not waiting.put_off:
                waiting.end(None, StorageError(failure))
        with anyio.move_on_after(AGAIN_EVERY):
            await self._given_up.wait()
        came, self._waiting = self._waiting, []
        return [*(waiting for waiting in group if waiting.put_off), *came]

    def _tell(self, lack: str | None) -> None:
        if (lack is None) != (self._lack is None):
            self._lack = lack
            self.on_lack(lack)

    def _apply_group(
        self, events: list[Event[Any]], committed: Event[None], db: sqlite3.Connection
    ) -> list[_Outcome]:
        # Hardly any event raises, and a savepoint around each takes as long as the event itself.
        try:
            outcomes = self._apply_all(db, events, _apply_bare)
        except (BatchfillError, sqlite3.IntegrityError):
            outcomes = self._apply_all(db, events, _apply_one)
        committed(db)
        return outcomes

    def _apply_all(
        self,
        db: sqlite3.Connection,
        events: list[Event[Any]],
        apply: Callable[[sqlite3.Connection, Event[Any]], _Outcome],
    ) -> list[_Outcome]:
        db.execute(self._begin)
        try:
            outcomes = [apply(db, event) for event in events]
            self.before_commit(db)
            db.execute("COMMIT")
        except BaseException:
            if db.in_transaction:
                db.execute("ROLLBACK")
            self.on_rollback(db)
            raise
        return outcomes


def _apply_alone(db: sqlite3.Connection, event: Event[T]) -> T:
    # Not IMMEDIATE: that would take the ledger's lock.
    db.execute("BEGIN")
    try:
        result = event(db)
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise
    return result


def _apply_bare(db: sqlite3.Connection, event: Event[Any]) -> _Outcome:
    return event(db), None


def _apply_one(db: sqlite3.Connection, event: Event[T]) -> tuple[T | None, Exception | None]:
    db.execute("SAVEPOINT event")
    try:
        result: T | None = event(db)
        trouble: Exception | None = None
    except (BatchfillError, sqlite3.IntegrityError) as error:
        db.execute("ROLLBACK TO event")
        result, trouble = None, error
    db.execute("RELEASE event")
    return result, trouble


def _in_words(error: sqlite3.Error) -> str:
    text = str(error)
    if "locked" in text:
        return "another program holds it; close that one, then run again"
    if "full" in text:
        return "the disk is full; make room"
    return text


def _abandon_waiting(group: list[_Waiting]) -> None:
    for waiting in group:
        waiting.end(None, LedgerFailed("the ledger's writer broke down"))


def _untold(lack: str | None) -> None:
    """What a writer does without a listener."""


def _do_nothing(db: sqlite3.Connection) -> None:
    """What a writer without a ledger does at the end of a group."""


@asynccontextmanager
async def open_writer(
    connect: Callable[[], sqlite3.Connection], *, begin: str = "BEGIN IMMEDIATE"
) -> AsyncIterator[Writer]:
    """Open the connection made by *connect* and commit until the block ends, then flush and close."""
    async with _open_connection(connect) as connection:
        with unwrap_single():
            async with anyio.create_task_group() as tasks:
                writer = Writer(connection, begin)
                tasks.start_soon(_serve_shielded, writer)
                try:
                    yield writer
                finally:
                    writer.close()


@asynccontextmanager
async def _open_connection(connect: Callable[[], sqlite3.Connection]) -> AsyncIterator[_Connection]:
    """Open and close a connection so that its thread never outlives the event loop it reports to."""
    db = await to_thread.run_sync(connect)
    connection = _Connection(lambda: db, 64)
    with anyio.CancelScope(shield=True):
        await connection
    try:
        yield connection
    finally:
        with anyio.CancelScope(shield=True):
            await connection.close()


async def _serve_shielded(writer: Writer) -> None:
    # A cancelled run still has events to record: those who wait for them decide when the writer may go.
    with anyio.CancelScope(shield=True):
        await writer.serve()
