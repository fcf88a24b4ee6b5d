"""What a mirror tells of its batch: who owned it last, closing what that run began, and its ledger."""

from __future__ import annotations

import platform
import secrets
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import IO, TYPE_CHECKING

from batchfill.errors import NoAnswer, ObjectGone, UsageError
from batchfill.ledger.mirrored.log_frames import apply_frames
from batchfill.storage.mirror.mirror_entries import (
    PROBE,
    EntryPlace,
    MirrorEntry,
    NoMirrorEntry,
    pack_entry,
    read_name,
    unpack_entry,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from batchfill.storage.mirror.mirror_bucket import MirrorBucket

AT_ONCE = 32
"""Entries that are read at once."""


@dataclass(frozen=True, slots=True)
class MirrorHistory:
    """How a mirror ends."""

    place: EntryPlace
    """Of the last entry that has commits or a copy."""
    entry: MirrorEntry
    closing: MirrorEntry | None
    """What closes its generation; None: its run may be at work."""


def prove_create_only(bucket: MirrorBucket) -> None:
    """Raise UsageError where the storage overwrites what is to be made only where nothing is.

    Without that two runs could own one batch.
    """
    name = f"{PROBE}{secrets.token_hex(8)}"
    try:
        # Where the answer to the first one is lost, it is tried again, and meets itself.
        bucket.create(name, b"first")
        if not bucket.create(name, b"second") and bucket.read(name) == b"first":
            return
    finally:
        bucket.remove([name])
    raise UsageError(
        f"{bucket.address}: the storage overwrites objects that are to be made only where there are none "
        "(If-None-Match), so two runs could pay for the same rows: give --mirror a bucket of another storage"
    )


def read_history(bucket: MirrorBucket) -> MirrorHistory | None:
    """Return how the mirror ends; None where it is empty. Raises UsageError for what is none."""
    read = {name: read_name(name) for name in bucket.list_names()}
    for name, found in read.items():
        if found is None and not name.startswith(PROBE):
            raise UsageError(
                f"{bucket.address}{name} is no part of a mirror: give --mirror a prefix of its own"
            )
    entries = [found[0] for found in read.values() if found is not None and not found[1]]
    if not entries:
        return None
    last = max(entries)
    entry = _read_entry(bucket, last)
    if not entry.closes:
        return MirrorHistory(last, entry, None)
    before = EntryPlace(last.generation, last.number - 1)
    return MirrorHistory(before, _read_entry(bucket, before), entry)


def close_generation(
    bucket: MirrorBucket, history: MirrorHistory, run: str, *, for_good: bool = False
) -> MirrorHistory:
    """Close the generation, so that the run that began it ends at its next commit, and return how it ends.

    The run may put entries meanwhile: they belong to what is returned.
    """
    closing = MirrorEntry(
        run=run, host=platform.node(), at=round(time.time(), 3), closes=True, for_good=for_good
    )
    content, place, entry = pack_entry(closing), history.place, history.entry
    while not bucket.create(place.next.name, content):
        there = _read_entry(bucket, place.next)
        if there.closes:
            return MirrorHistory(place, entry, there)
        place, entry = place.next, there
    return MirrorHistory(place, entry, closing)


def rebuild_ledger(bucket: MirrorBucket, history: MirrorHistory, file: IO[bytes]) -> None:
    """Write the ledger as the last entry left it to *file*. Raises UsageError for parts that are missing."""
    place, base = history.place, history.entry.base
    start = EntryPlace(place.generation, base)
    unpacker = zlib.decompressobj()
    try:
        for piece in bucket.read_pieces(start.copy_by(history.entry.run)):
            file.write(unpacker.decompress(piece))
        file.write(unpacker.flush())
        for entry in _read_entries(bucket, start, place):
            apply_frames(file, entry.frames)
    except (ObjectGone, ValueError, zlib.error) as error:
        raise UsageError(f"{bucket.address}: the mirror is not whole: {error}") from error


def _read_entries(bucket: MirrorBucket, start: EntryPlace, end: EntryPlace) -> Iterator[MirrorEntry]:
    """Yield the entries behind *start*, up to *end*, in their order."""
    numbers = iter(range(start.number + 1, end.number + 1))
    with ThreadPoolExecutor(AT_ONCE) as threads:
        while wanted := list(islice(numbers, AT_ONCE)):
            places = (EntryPlace(end.generation, number) for number in wanted)
            yield from threads.map(lambda place: _read_entry(bucket, place), places)


def _read_entry(bucket: MirrorBucket, place: EntryPlace) -> MirrorEntry:
    try:
        return unpack_entry(bucket.read(place.name))
    except NoMirrorEntry as error:
        raise UsageError(f"{bucket.address}{place.name} cannot be used: {error}") from None
    except ObjectGone as error:
        raise NoAnswer(f"{bucket.address}{place.name} is gone while it was read: try again") from error
