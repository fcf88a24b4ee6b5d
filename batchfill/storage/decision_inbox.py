"""Decisions of reviewers on their way into the ledger: the lock says who takes them."""

from __future__ import annotations

import time
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

import anyio
from anyio import to_thread

from batchfill.errors import LedgerFailed, UsageError
from batchfill.ledger.database import is_there
from batchfill.ledger.location import LEDGER
from batchfill.storage import inbox, lock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from batchfill.domain.review import ReviewDecision


async def post_decisions(folder: Path, rulings: Sequence[ReviewDecision]) -> None:
    """Put *rulings* on disk, and into the ledger unless a run holds it. Raises UsageError."""
    try:
        await to_thread.run_sync(inbox.post_rulings, folder, rulings)
    except OSError as error:
        raise UsageError(
            f"{folder / inbox.NAME} cannot be written: {error.strerror}; the decision was not taken"
        ) from error
    await take_waiting_decisions(folder)


async def take_waiting_decisions(folder: Path) -> None:
    """Take decisions that wait, unless another process holds the lock, which then does so itself.

    Call it after every release of the lock: no other process takes what was left meanwhile.
    """
    met: frozenset[str] = frozenset()
    # Where that fails they stay in the inbox, for the next who comes by.
    with suppress(UsageError, LedgerFailed):
        while is_there(folder / LEDGER) and inbox.rulings_waiting(folder) - met:
            with lock.held_for_a_moment(folder) as ours:
                if not ours:
                    return
                met |= await _take_now(folder)


@asynccontextmanager
async def hold_batch(folder: Path) -> AsyncIterator[None]:
    """Hold the lock of the batch folder. Raises UsageError while another process holds it."""
    await lock.wait_out_moments(folder)
    try:
        with lock.hold_lock(folder):
            yield
    finally:
        with anyio.CancelScope(shield=True):
            await take_waiting_decisions(folder)


async def _take_now(folder: Path) -> frozenset[str]:
    # Loaded here: who only reads a batch has no use for it.
    from batchfill.ledger.ledger import open_ledger

    async with open_ledger(folder / LEDGER, time.time, checked=False) as ledger:
        return (await inbox.take_rulings(folder, ledger)).met
