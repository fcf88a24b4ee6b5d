"""Taking over a batch whose machine is lost: its run is shut out, and its ledger rebuilt from the mirror."""

from __future__ import annotations

import secrets
import shutil
import time
from collections.abc import Awaitable, Callable
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
from anyio import to_thread

from batchfill.domain.progress import Level, LogEvent
from batchfill.errors import NoAnswer, ObjectsRefused, UsageError
from batchfill.ledger.database import is_there, refuse_network
from batchfill.ledger.location import LEDGER
from batchfill.ledger.mirrored.replacement import replace_ledger
from batchfill.ledger.reader import open_reader
from batchfill.session.batch_ledger import make_folder, read_metadata
from batchfill.session.free_questions import OUTPUTS
from batchfill.session.lost_machine.mirroring import NEXT_RUN, owns, told
from batchfill.settings import timings
from batchfill.settings.addresses import NO_MIRROR
from batchfill.settings.resolve import MIRROR, read_flag
from batchfill.storage import lock
from batchfill.storage.made_files import find_made
from batchfill.storage.mirror.bucket_mirror import tell_owner
from batchfill.storage.mirror.mirror_bucket import MirrorBucket
from batchfill.storage.mirror.mirror_entries import pack_entry
from batchfill.storage.mirror.mirror_history import close_generation, read_history, rebuild_ledger

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from batchfill.domain.progress import ProgressListener
    from batchfill.domain.rows import StoredFile
    from batchfill.ledger.reader import Reader
    from batchfill.storage.mirror.mirror_history import MirrorHistory

Agree = Callable[[Path], Awaitable[None]]
DRAFT = "taking-over"
"""The folder of a ledger that is not taken over yet."""

NO_ADDRESS = "--take-over needs --mirror URL: the address at which the lost run mirrored its batch"


@dataclass(frozen=True, slots=True)
class TakenBatch:
    """What was taken over."""

    host: str
    """The machine of the lost run."""
    at: float
    """Its last entry, in seconds since the epoch."""
    away: int
    """Pictures of finished rows that are neither in this folder nor, as far as is known, in a bucket."""
    kept: Path | None
    """The ledger that was in this folder before."""


async def take_over_from(
    flags: Mapping[str, Any], folder: Path, watch: ProgressListener | None, agree: Agree
) -> None:
    """Take over the batch of --mirror, else of the mirror that the ledger here remembers, and tell *watch*.

    *agree*: see take_over. Raises UsageError.
    """
    address = read_flag("mirror", flags.get("mirror")) or read_metadata(folder).get(MIRROR)
    if address in (None, NO_MIRROR):
        raise UsageError(NO_ADDRESS)
    make_folder(folder)
    taken = await take_over(folder, address, agree, wait=timings.DEFAULT.mirror_lease)
    if taken is None or watch is None:
        return
    for line in taken_lines(taken, folder):
        watch.notice(LogEvent(time.time(), line, Level.WARNING))


async def take_over(folder: Path, address: str, agree: Agree, *, wait: float) -> TakenBatch | None:
    """Make the batch that is mirrored at *address* this folder's; None: it is already.

    *agree* is given a folder with its ledger, while the run that has the batch goes on: what it raises keeps
    everything as it is. That run ends at its next commit then. *wait*: seconds after which what it was about
    to send is sent, or held back. Raises UsageError, with nothing changed here.
    """
    refuse_network(folder / LEDGER)
    await lock.wait_out_moments(folder)
    with lock.hold_lock(folder), told(address), _draft_folder(folder) as begun:
        bucket = await to_thread.run_sync(MirrorBucket, address)
        history = await to_thread.run_sync(_read_open, bucket)
        known = await to_thread.run_sync(_known_facts, folder / LEDGER)
        _refuse_other(folder, known, address)
        if known and owns(known, history):
            return None
        history = await to_thread.run_sync(_rebuild_open, bucket, history, begun / LEDGER)
        await agree(begun)
        history = await to_thread.run_sync(_close, bucket, history, begun / LEDGER)
        await outwait_lease(wait)
        kept = await to_thread.run_sync(_put_in_place, bucket, history, begun / LEDGER, folder / LEDGER)
        away = await to_thread.run_sync(_count_away, folder)
    return TakenBatch(history.entry.host, history.entry.at, away, kept)


async def outwait_lease(seconds: float) -> None:
    """Return once what another run was about to send is sent, or held back."""
    await anyio.sleep(seconds)


def taken_lines(taken: TakenBatch, folder: Path) -> list[str]:
    """Return what to tell of it."""
    at = f"{datetime.fromtimestamp(taken.at, UTC):%Y-%m-%d %H:%M:%S} UTC"
    lines = [f"taken over from {taken.host or 'another machine'}, as it was at {at}"]
    if taken.kept is not None:
        lines.append(f"the older {LEDGER} of {folder.name} is kept as {taken.kept.name}")
    if taken.away:
        pictures = "1 picture" if taken.away == 1 else f"{taken.away:,} pictures"
        verb = "is" if taken.away == 1 else "are"
        lines.append(
            f"{pictures} of finished rows {verb} not in {folder.name}: "
            "copy what is on the lost machine's disk to its outputs/, or add --retry missing, which fetches "
            "what the service keeps still and pays for the others again"
        )
    return lines


def _read_open(bucket: MirrorBucket) -> MirrorHistory:
    history = read_history(bucket)
    if history is None:
        raise UsageError(
            f"{bucket.address} is empty, so there is nothing to take over: check the address, or leave "
            "--take-over out to begin the batch"
        )
    if history.closing is not None and history.closing.for_good:
        raise UsageError(f"{tell_owner(pack_entry(history.closing), bucket.address)}: it knows too little")
    return history


def _known_facts(ledger: Path) -> dict[str, str]:
    if not is_there(ledger):
        return {}
    with open_reader(ledger) as reader:
        return reader.metadata()


def _refuse_other(folder: Path, known: dict[str, str], address: str) -> None:
    if known and known.get(MIRROR) != address:
        raise UsageError(
            f"{folder.name} holds a batch that is not mirrored at {address}: give another folder with --out"
        )


@contextmanager
def _draft_folder(folder: Path) -> Iterator[Path]:
    """Give an empty folder in *folder*, whose lock is held. Raises UsageError where it cannot be written."""
    draft = folder / DRAFT
    try:
        # One that was killed has left its own.
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir()
        try:
            yield draft
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    except OSError as error:
        raise UsageError(f"{folder} cannot be written: {error.strerror}") from error


def _rebuild_open(bucket: MirrorBucket, history: MirrorHistory, ledger: Path) -> MirrorHistory:
    """Rebuild the ledger of a mirror that its run may be writing still, and return how it ended by then."""
    while True:
        try:
            _rebuild(bucket, history, ledger)
        except UsageError:
            before, history = history, _read_open(bucket)
            # A run that goes on removes the entries behind its copies.
            if history.place == before.place:
                raise
        else:
            return history


def _rebuild(bucket: MirrorBucket, history: MirrorHistory, ledger: Path) -> None:
    with ledger.open("w+b") as file:
        rebuild_ledger(bucket, history, file)


def _close(bucket: MirrorBucket, history: MirrorHistory, draft: Path) -> MirrorHistory:
    """Shut the other run out, and have *draft* hold what it did until then."""
    if history.closing is not None:
        return history
    closed = close_generation(bucket, history, secrets.token_hex(8))
    if closed.place != history.place:
        _rebuild(bucket, closed, draft)
    return closed


def _put_in_place(bucket: MirrorBucket, history: MirrorHistory, draft: Path, ledger: Path) -> Path | None:
    assert history.closing is not None
    return replace_ledger(ledger, draft, {MIRROR: bucket.address, NEXT_RUN: history.closing.run})


def _count_away(folder: Path) -> int:
    """Return how many pictures of finished rows are lost, unless the other machine's disk is there still."""
    with open_reader(folder / LEDGER) as reader:
        root = reader.metadata().get(OUTPUTS)
        return sum(
            not ((folder / placed.file).is_file() or _is_put(reader, placed) or _waits(root, placed))
            for placed in reader.collected_files()
        )


def _is_put(reader: Reader, placed: StoredFile) -> bool:
    """Whether the bucket of --outputs has it in its place."""
    copy = reader.remote_copy(placed.file)
    return copy is not None and copy.sha256 == placed.sha256


def _waits(root: str | None, placed: StoredFile) -> bool:
    """Whether it waits below *root* for its place, as far as that can be found out now."""
    try:
        return root is not None and find_made(root, placed.sha256) is not None
    except (NoAnswer, ObjectsRefused):
        return False
