"""Whether this start may go on with a batch that is mirrored, and the mirror that its commits go to."""

from __future__ import annotations

import secrets
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from functools import partial
from typing import TYPE_CHECKING

from anyio import to_thread

from batchfill.domain.progress import Level
from batchfill.errors import NoAnswer, ObjectsRefused, TakenOver, UsageError
from batchfill.ledger.base import MIRRORED
from batchfill.settings.addresses import NO_MIRROR
from batchfill.settings.resolve import MIRROR
from batchfill.storage.mirror.bucket_mirror import BucketMirror, tell_owner
from batchfill.storage.mirror.mirror_bucket import MirrorBucket
from batchfill.storage.mirror.mirror_entries import pack_entry
from batchfill.storage.mirror.mirror_history import close_generation, prove_create_only, read_history

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping

    from batchfill.ledger.ledger import Ledger
    from batchfill.run.shutdown import StopSignal
    from batchfill.settings.settings import Settings
    from batchfill.settings.timings import Timings
    from batchfill.storage.mirror.mirror_history import MirrorHistory
    from batchfill.storage.run_log import RunLog

NEXT_RUN = "mirror_run"
"""The fact that names the run that is about to begin a generation of its own in the mirror."""


def owns(facts: Mapping[str, str], history: MirrorHistory | None) -> bool:
    """Whether the ledger with these *facts* knows all that the mirror tells: no other run has gone on."""
    if history is None:
        return True
    next_run, entry = facts.get(NEXT_RUN), history.entry
    if history.closing is not None and history.closing.run != next_run:
        return False
    if entry.run == next_run and not entry.commits:
        return True  # it began its generation and died before its first commit
    run, _, commits = facts.get(MIRRORED, "").partition(" ")
    return run == entry.run and entry.commits <= int(commits)


@asynccontextmanager
async def mirrored(
    ledger: Ledger, settings: Settings, timings: Timings, say: RunLog, stopping: StopSignal
) -> AsyncIterator[None]:
    """Have the commits in a block mirrored where the batch is. Raises UsageError where that cannot be.

    Where another run has the batch by then, TakenOver is raised at the block's end. A mirror that does not
    answer keeps no batch that was mirrored before from fetching what runs: nothing is submitted.
    """
    known = ledger.metadata.get(MIRROR)
    address = settings.mirror or known
    _refuse_other(known, address, settings)
    if address == NO_MIRROR and known is not None:
        await _end_mirror(ledger, known)
    if address in (None, NO_MIRROR):
        yield
        return
    assert address is not None
    async with AsyncExitStack() as stack:
        told_of = {"on_lack": partial(_tell_lack, say), "on_loss": stopping.stop_now}
        with told(address):
            try:
                mirror = await _begin_generation(ledger, address, timings)
                await stack.enter_async_context(ledger.mirrored(mirror, **told_of))
            except NoAnswer as error:
                if MIRRORED not in ledger.metadata:
                    raise
                why = f"{error}. Nothing is submitted: what runs is fetched, and the next start goes on"
                say.notice(why, Level.WARNING)
                stopping.stop_submitting(str(error))
        yield


async def _begin_generation(ledger: Ledger, address: str, timings: Timings) -> BucketMirror:
    """Return the mirror of a new generation, which has no entry yet."""
    bucket = await to_thread.run_sync(MirrorBucket, address)
    history = await to_thread.run_sync(read_history, bucket)
    if not owns(ledger.metadata, history):
        assert history is not None
        raise UsageError(_refusal(history, address, new=MIRRORED not in ledger.metadata))
    await to_thread.run_sync(prove_create_only, bucket)
    run = secrets.token_hex(8)
    if history is not None and history.closing is not None:
        run = history.closing.run  # this start goes on with what one of ours began
    await ledger.set_metadata(**{MIRROR: address, NEXT_RUN: run})
    generation = 1
    if history is not None:
        if history.closing is None:
            history = await to_thread.run_sync(close_generation, bucket, history, run)
            if not owns(ledger.metadata, history):
                raise UsageError(_refusal(history, address, new=False))
        generation = history.place.generation + 1
    return BucketMirror(bucket, run, generation, timings.mirror_lease)


def _refusal(history: MirrorHistory, address: str, *, new: bool) -> str:
    owner = tell_owner(pack_entry(history.closing or history.entry), address)
    if (history.closing or history.entry).for_good:
        return f"{owner}: give --mirror another prefix"
    if new:
        return (
            f"{address} is the mirror of a batch: to go on with that one here, add --take-over; "
            "for another batch give --mirror another prefix"
        )
    return (
        f"{owner}, and knows more than the ledger here: go on there. If that run is lost, "
        "add --take-over to go on here"
    )


def _refuse_other(known: str | None, address: str | None, settings: Settings) -> None:
    if known is not None and address not in (known, NO_MIRROR):
        raise UsageError(
            f"{settings.folder.name} is mirrored at {known}, and this command says {address}: leave --mirror "
            "out to go on, or end that mirror first with --mirror none"
        )


async def _end_mirror(ledger: Ledger, address: str) -> None:
    """Close the mirror for good: it tells less than the batch knows from now on."""
    with told(address):
        bucket = await to_thread.run_sync(MirrorBucket, address)
        history = await to_thread.run_sync(read_history, bucket)
        if not owns(ledger.metadata, history):
            assert history is not None
            raise UsageError(_refusal(history, address, new=False))
        if history is not None and history.closing is None:
            run = secrets.token_hex(8)
            await ledger.set_metadata(**{NEXT_RUN: run})
            close = partial(close_generation, bucket, history, run, for_good=True)
            closing = (await to_thread.run_sync(close)).closing
            if closing is None or closing.run != run:
                raise UsageError(f"{address}: another run began there just now: try again")
    await ledger.set_metadata(**{MIRROR: None, MIRRORED: None, NEXT_RUN: None})


@contextmanager
def told(address: str) -> Iterator[None]:
    """Raise what keeps a start from its mirror as UsageError."""
    try:
        yield
    except (NoAnswer, ObjectsRefused, TakenOver) as error:
        raise UsageError(f"--mirror {address}: {error}") from error


def _tell_lack(say: RunLog, lack: str | None) -> None:
    if lack is None:
        say.notice("the mirror has everything again")
    else:
        say.notice(f"{lack}. Nothing more is submitted until the mirror answers", Level.WARNING)
