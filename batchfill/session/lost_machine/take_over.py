"""Taking over a batch whose machine is lost: its run is shut out, and its ledger rebuilt from the mirror."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import anyio
from anyio import to_thread

from batchfill.domain.progress import Level, LogEvent
from batchfill.errors import UsageError
from batchfill.ledger.database import is_there, refuse_network
from batchfill.ledger.location import LEDGER
from batchfill.ledger.mirrored.replacement import replace_ledger
from batchfill.ledger.reader import open_reader
from batchfill.session.batch_ledger import make_folder, read_metadata
from batchfill.session.lost_machine.mirroring import NEXT_RUN, owns, told
from batchfill.settings import timings
from batchfill.settings.addresses import NO_MIRROR
from batchfill.settings.resolve import MIRROR, read_flag
from batchfill.storage import lock
from batchfill.storage.mirror.bucket_mirror import tell_owner
from batchfill.storage.mirror.mirror_bucket import MirrorBucket
from batchfill.storage.mirror.mirror_entries import pack_entry
from batchfill.storage.mirror.mirror_history import close_generation, read_history, rebuild_ledger
from batchfill.storage.output_store import OUTPUTS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from batchfill.domain.progress import ProgressListener
    from batchfill.storage.mirror.mirror_history import MirrorHistory

NO_ADDRESS = "--take-over needs --mirror URL: the address at which the lost run mirrored its batch"


@dataclass(frozen=True, slots=True)
class TakenBatch:
    """What was taken over."""

    host: str
    """The machine of the lost run."""
    at: float
    """Its last entry, in seconds since the epoch."""
    away: int
    """Pictures of finished rows that are not in this folder."""
    outputs: str
    """Where they may be."""
    kept: Path | None
    """The ledger that was in this folder before."""


async def take_over_from(flags: Mapping[str, Any], folder: Path, watch: ProgressListener | None) -> None:
    """Take over the batch of --mirror, else of the mirror that the ledger here remembers, and tell *watch*.

    Raises UsageError.
    """
    address = read_flag("mirror", flags.get("mirror")) or read_metadata(folder).get(MIRROR)
    if address in (None, NO_MIRROR):
        raise UsageError(NO_ADDRESS)
    make_folder(folder)
    taken = await take_over(folder, address, wait=timings.DEFAULT.mirror_lease)
    if taken is None or watch is None:
        return
    for line in taken_lines(taken, folder):
        watch.notice(LogEvent(time.time(), line, Level.WARNING))


async def take_over(folder: Path, address: str, *, wait: float) -> TakenBatch | None:
    """Make the batch that is mirrored at *address* this folder's; None: it is already.

    The run that had it ends at its next commit. *wait*: seconds after which what it was about to send is
    sent, or held back. Raises UsageError, with nothing changed here.
    """
    refuse_network(folder / LEDGER)
    await lock.wait_out_moments(folder)
    with lock.hold_lock(folder), told(address):
        bucket = await to_thread.run_sync(MirrorBucket, address)
        history = await to_thread.run_sync(_read_open, bucket)
        known = await to_thread.run_sync(_known_facts, folder / LEDGER)
        _refuse_other(folder, known, address)
        if known and owns(known, history):
            return None
        if history.closing is None:
            history = await to_thread.run_sync(close_generation, bucket, history, secrets.token_hex(8))
        await outwait_lease(wait)
        kept = await to_thread.run_sync(_rebuild, bucket, history, folder / LEDGER)
        away, outputs = await to_thread.run_sync(_find_away, folder)
    return TakenBatch(history.entry.host, history.entry.at, away, outputs, kept)


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
        lines.append(
            f"{taken.away:,} pictures of finished rows are not in {folder.name}: copy them from "
            f"{taken.outputs} to its outputs/, or add --retry missing, which fetches what the service keeps "
            "still and pays for the others again"
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


def _rebuild(bucket: MirrorBucket, history: MirrorHistory, ledger: Path) -> Path | None:
    rebuilt = ledger.with_name(f"{ledger.name}.rebuilt")
    try:
        with rebuilt.open("w+b") as file:
            rebuild_ledger(bucket, history, file)
        assert history.closing is not None
        facts = {MIRROR: bucket.address, NEXT_RUN: history.closing.run}
        return replace_ledger(ledger, rebuilt, facts)
    except OSError as error:
        raise UsageError(f"{ledger.parent} cannot be written: {error.strerror}") from error
    finally:
        rebuilt.unlink(missing_ok=True)


def _find_away(folder: Path) -> tuple[int, str]:
    """Return how many pictures of finished rows are not here, and where they may be."""
    with open_reader(folder / LEDGER) as reader:
        away = sum(not (folder / placed.file).is_file() for placed in reader.collected_files())
        remote = reader.metadata().get("outputs")
    return away, "the lost machine's disk" if remote is None else f"{remote}{OUTPUTS}/"
