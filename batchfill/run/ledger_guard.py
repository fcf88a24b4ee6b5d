"""A ledger that is taken away while a run writes it: noticed, put back, and nothing more is paid for."""

from __future__ import annotations

from contextlib import ExitStack, asynccontextmanager, suppress
from typing import TYPE_CHECKING

import anyio

from batchfill.domain.progress import Weight
from batchfill.domain.rows import RowState
from batchfill.errors import LedgerFailed, UsageError, alone
from batchfill.storage import lock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from batchfill.run.context import Tools
    from batchfill.run.shutdown import Stopping

LOOK_EVERY = 0.5
"""Seconds between two looks whether the ledger is in its place; each intent looks too."""


@asynccontextmanager
async def watched(tools: Tools, stopping: Stopping) -> AsyncIterator[None]:
    """Watch over the ledger in a block that runs a batch; its end saves what came after a loss."""
    rescue = Rescue(tools, stopping)
    with rescue.locks, alone():
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(rescue.watch)
            try:
                yield
            finally:
                tasks.cancel_scope.cancel()
                with anyio.CancelScope(shield=True):
                    await rescue.end()


class Rescue:
    """Saves one run's ledger."""

    def __init__(self, tools: Tools, stopping: Stopping) -> None:
        self._tools = tools
        self._stopping = stopping
        self._lost = False
        self._told = ""
        self.locks = ExitStack()
        """Holds the lock of a folder that had to be made again."""

    async def watch(self) -> None:
        """Return once the ledger was taken away and is saved."""
        # No event tells of it on every system; a look costs microseconds.
        while True:
            if not self._tools.ledger.in_place:
                break
            await anyio.sleep(LOOK_EVERY)
        with anyio.CancelScope(shield=True), suppress(LedgerFailed):
            await self._save()

    async def end(self) -> None:
        """Save the last state of a ledger that was taken away. Raises LedgerFailed when that cannot be."""
        if self._lost or not self._tools.ledger.in_place:
            await self._save()

    async def _save(self) -> None:
        self._lost = True
        name, folder = self._tools.ledger.name, self._tools.shelf.folder
        try:
            saved = await self._tools.ledger.put_back(beside=not self._locked())
        except (LedgerFailed, OSError) as error:
            text = f"{name} was taken away from {folder.name} and cannot be put back: {error}"
            self._stopping.everything(text)
            self._tell(text)
            await self._name_what_runs()
            raise LedgerFailed(text) from error
        back = "is put back" if saved.name == name else f"another run is there: it is saved as {saved.name}"
        text = f"{name} was taken away from {folder.name} while the run went on, and {back}"
        self._stopping.submits(text)
        self._tell(f"{text}; nothing more is submitted")

    def _tell(self, text: str) -> None:
        if text != self._told:
            self._tools.telling.say(text, Weight.ERROR)
        self._told = text

    def _locked(self) -> bool:
        """Hold the folder's lock, which may have gone with the folder; False when another run has it."""
        folder = self._tools.shelf.folder
        if lock.is_ours(folder):
            return True
        folder.mkdir(parents=True, exist_ok=True)
        try:
            self.locks.enter_context(lock.held(folder))
        except UsageError:
            return False
        return True

    async def _name_what_runs(self) -> None:
        # The last chance: nobody else can say what was paid for.
        for attempt in await self._tools.ledger.open_attempts(RowState.RUNNING):
            self._tools.telling.say(f"{attempt.id}: runs as {attempt.prediction_id}", Weight.ERROR)
