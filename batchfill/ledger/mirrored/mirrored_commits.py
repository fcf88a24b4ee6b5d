"""Has every commit of the ledger mirrored before its callers go on, and catches up after an outage."""

from __future__ import annotations

import sqlite3
from contextlib import asynccontextmanager, closing, suppress
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import anyio
from anyio import to_thread

from batchfill.errors import LedgerError, LedgerFailed, NoAnswer, ObjectsRefused, TakenOver, unwrap_single
from batchfill.ledger.database import open_to_read
from batchfill.ledger.mirrored.log_frames import LogFrames, TooManyPages

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from batchfill.ledger.mirrored.commit_mirror import CommitMirror


T = TypeVar("T")

AGAIN_EVERY = 3.0
"""Seconds between two tries to reach a mirror that does not answer."""

COPY = "ledger.copy"
"""Next to the ledger: a copy on its way to the mirror."""


class MirroredCommits:
    """What stands between a commit and those who wait for it.

    While the mirror does not answer, events go on without it, and only what would be paid for waits: after a
    loss of this machine a take-over would not know of it. All else can be asked for again.
    """

    def __init__(
        self,
        mirror: CommitMirror,
        ledger: Path,
        *,
        on_lack: Callable[[str | None], None],
        on_loss: Callable[[str], None],
    ) -> None:
        """*on_lack* is told why the mirror lacks commits, and None once it has all of them.

        *on_loss* is told why this run must pay for nothing more.
        """
        self.lack: str | None = None
        """Why the mirror does not have every commit; None: it does."""
        self.lost: TakenOver | None = None
        """Why this run must pay for nothing more."""
        self.one_at_a_time = anyio.Lock()
        """Held by the task that commits, and by the one that copies all that is committed."""
        self._mirror = mirror
        self._ledger = ledger
        self._on_lack = on_lack
        self._on_loss = on_loss
        self._frames = LogFrames(ledger)
        self._commits = 0
        self._cut_off = False
        """Whether the ledger was taken away: what is in its place is not what this run writes."""
        self._lacks_since = 0.0
        self._wake = anyio.Event()

    @property
    def lacks_for(self) -> float:
        """Seconds since which the mirror lacks commits."""
        return 0.0 if self.lack is None else anyio.current_time() - self._lacks_since

    def next_mark(self) -> str:
        """Return what the ledger is to remember with the commit that comes: it says who made which."""
        self._commits += 1
        return f"{self._mirror.run} {self._commits}"

    def may_pay(self) -> bool:
        """Whether the batch was this run's own a moment ago."""
        return self.lost is None and self._mirror.may_pay()

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """Put a copy of the ledger, and serve in a block whose commits follow it; see `serve`.

        Raises NoAnswer, ObjectsRefused, TakenOver where the block cannot begin.
        """
        await to_thread.run_sync(self._frames.skip)
        await to_thread.run_sync(self._put_copy)
        with unwrap_single():
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self.serve)
                try:
                    yield
                finally:
                    tasks.cancel_scope.cancel()
        if self.lack is not None and self.lost is None:
            with anyio.CancelScope(shield=True):
                await self.catch_up()
        if self.lost is not None:
            raise self.lost

    async def follow_commit(self) -> None:
        """Put what was committed just now; without an answer, `lack` says so. Raises TakenOver."""
        if self.lost is not None:
            raise self.lost
        try:
            frames = await to_thread.run_sync(self._frames.take)
        except TooManyPages:
            put: Callable[[], None] = self._put_copy
        except OSError as error:
            raise LedgerFailed(f"the ledger's log cannot be read: {error.strerror}") from error
        else:
            put = partial(self._mirror.put_commits, frames, self._commits)
            if not frames:  # every commit writes some
                self._cut_off = True
                self._tell(f"{self._ledger.name} was taken away, and the mirror has no more of it")
        if self.lack is None:
            await self._try(put)
            if self.lack is not None or self._mirror.copy_due:
                self._wake.set()

    async def serve(self) -> None:
        """Catch up when the mirror answers again, and copy the ledger when much was put, until cancelled."""
        await self._remove_old()
        while self.lost is None:
            with anyio.move_on_after(AGAIN_EVERY if self.lack else None):
                await self._wake.wait()
            self._wake = anyio.Event()
            # One copy or entry is seen through: another call must not meet it half way.
            with anyio.CancelScope(shield=True):
                if self.lack is not None:
                    await self.catch_up()
                elif self._mirror.copy_due:
                    await self._renew_copy()

    async def catch_up(self) -> None:
        """Put what the mirror lacks, if it answers; `lack` says so."""
        if self._cut_off:
            return
        # Without the lock: commits go on while the network is waited for.
        with suppress(TakenOver):  # the next commit says so
            if await self._try(self._mirror.put_again):
                async with self.one_at_a_time:
                    if await self._try(self._put_copy):
                        self._tell(None)

    async def _renew_copy(self) -> None:
        """Have the mirror go on from a new copy; commits go on while it is on its way."""
        try:
            keep = partial(self._mirror.keep_copy, behind=self._mirror.last)
            kept = await to_thread.run_sync(self._with_copy, keep)
        except (NoAnswer, ObjectsRefused):
            # The entries are there all the same. The next commit tries again.
            return
        async with self.one_at_a_time:
            # What the copy has more than the mirror must be in it first: pages of both would mix.
            if self.lack is not None:
                return
            self._mirror.use_copy(kept)
            with suppress(TakenOver):  # the next commit says so
                if await self._try(partial(self._mirror.put_commits, b"", self._commits)):
                    await self._remove_old()

    async def _remove_old(self) -> None:
        # These credentials may have no right to it, and the next copy removes it else.
        with suppress(NoAnswer, ObjectsRefused):
            await to_thread.run_sync(self._mirror.remove_old)

    async def _try(self, put: Callable[[], None]) -> bool:
        """Return whether *put* had an answer. Raises TakenOver."""
        try:
            await to_thread.run_sync(put)
        except TakenOver as error:
            self.lost = error
            self._on_loss(str(error))
            raise
        except (NoAnswer, ObjectsRefused) as error:
            self._tell(str(error))
            return False
        return True

    def _tell(self, lack: str | None) -> None:
        began = self.lack is None
        if (lack is None) != began:
            self._on_lack(lack)
        if began:
            self._lacks_since = anyio.current_time()
        self.lack = lack

    def _put_copy(self) -> None:
        self._with_copy(lambda copy: self._mirror.put_copy(copy, self._commits))

    def _with_copy(self, put: Callable[[Path], T]) -> T:
        copy = self._ledger.with_name(COPY)
        try:
            copy_ledger(self._ledger, copy)
            return put(copy)
        except (OSError, sqlite3.Error, LedgerError) as error:
            raise NoAnswer(f"{copy}: the ledger cannot be copied for the mirror: {error}") from error
        finally:
            with suppress(OSError):
                copy.unlink()


def copy_ledger(ledger: Path, target: Path) -> None:
    """Copy all that is committed of an open *ledger*, page by page. Raises OSError, sqlite3.Error."""
    target.unlink(missing_ok=True)
    with closing(open_to_read(ledger)) as source, closing(sqlite3.connect(target)) as copy:
        source.backup(copy)
