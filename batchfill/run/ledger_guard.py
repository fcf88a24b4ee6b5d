"""A ledger that is taken away while a run writes it: noticed, put back, and nothing more is paid for."""

from __future__ import annotations

from contextlib import ExitStack, asynccontextmanager, suppress
from typing import TYPE_CHECKING

import anyio

from batchfill.domain.progress import Level
from batchfill.domain.rows import RowState
from batchfill.errors import LedgerFailed, UsageError, unwrap_single
from batchfill.storage import lock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from batchfill.run.context import RunContext


@asynccontextmanager
async def guard(context: RunContext) -> AsyncIterator[None]:
    """Watch over the ledger in a block that runs a batch; its end saves what came after a loss."""
    ledger_guard = LedgerGuard(context)
    with ledger_guard.locks, unwrap_single():
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ledger_guard.watch_ledger)
            try:
                yield
            finally:
                tasks.cancel_scope.cancel()
                with anyio.CancelScope(shield=True):
                    await ledger_guard.end_watch()


class LedgerGuard:
    """Saves one run's ledger."""

    def __init__(self, context: RunContext) -> None:
        self._context = context
        self._stopping = context.stopping
        self._lost = False
        self._told = ""
        self.locks = ExitStack()
        """Holds the lock of a folder that had to be made again."""

    async def watch_ledger(self) -> None:
        """Return once the ledger was taken away and is saved."""
        # No event tells of it on every system; a look costs microseconds.
        while True:
            if not self._context.ledger.in_place:
                break
            await anyio.sleep(self._context.timings.ledger_look)
        with anyio.CancelScope(shield=True), suppress(LedgerFailed):
            await self._save_ledger()

    async def end_watch(self) -> None:
        """Save the last state of a ledger that was taken away. Raises LedgerFailed when that cannot be."""
        if self._lost or not self._context.ledger.in_place:
            await self._save_ledger()

    async def _save_ledger(self) -> None:
        self._lost = True
        name, folder = self._context.ledger.name, self._context.store.folder
        try:
            saved = await self._context.ledger.put_back(beside=not self._hold_folder())
        except (LedgerFailed, OSError) as error:
            text = f"{name} was taken away from {folder.name} and cannot be put back: {error}"
            self._stopping.stop_now(text)
            self._tell_once(text)
            await self._name_what_runs()
            raise LedgerFailed(text) from error
        back = "is put back" if saved.name == name else f"another run is there: it is saved as {saved.name}"
        text = f"{name} was taken away from {folder.name} while the run went on, and {back}"
        self._stopping.stop_submitting(text)
        self._tell_once(f"{text}; nothing more is submitted")

    def _tell_once(self, text: str) -> None:
        if text != self._told:
            self._context.log.notice(text, Level.ERROR)
        self._told = text

    def _hold_folder(self) -> bool:
        """Hold the folder's lock, which may have gone with the folder; False when another run has it."""
        folder = self._context.store.folder
        if lock.is_ours(folder):
            return True
        folder.mkdir(parents=True, exist_ok=True)
        try:
            self.locks.enter_context(lock.hold_lock(folder))
        except UsageError:
            return False
        return True

    async def _name_what_runs(self) -> None:
        # The last chance: no other file says what was paid for.
        for attempt in await self._context.ledger.open_attempts(RowState.RUNNING):
            self._context.log.notice(f"{attempt.id}: runs as {attempt.prediction_id}", Level.ERROR)
