"""The mirror of a batch's ledger in a bucket, as the one run that owns the batch writes it."""

from __future__ import annotations

import platform
import time
import zlib
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from batchfill.errors import NoAnswer, ObjectGone, TakenOver
from batchfill.storage.mirror.mirror_entries import (
    EntryPlace,
    MirrorEntry,
    NoMirrorEntry,
    old_names,
    pack_entry,
    unpack_entry,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from batchfill.storage.mirror.mirror_bucket import MirrorBucket

MOST_ENTRIES = 5000
"""Entries behind a copy of the ledger: a take-over reads each of them."""
LEAST_BYTES = 8 * 1024 * 1024
"""Bytes behind a copy that are read all the same, however small the ledger is."""
_PIECE = 1024 * 1024


class _Moment(NamedTuple):
    """By two clocks: one may be set, the other may stop while the machine sleeps."""

    wall: float
    steady: float

    @classmethod
    def now(cls) -> _Moment:
        return cls(time.time(), time.monotonic())

    def is_within(self, seconds: float) -> bool:
        now = _Moment.now()
        return 0 <= now.wall - self.wall <= seconds and now.steady - self.steady <= seconds


class KeptCopy(NamedTuple):
    """A copy of the ledger that is in the bucket, and that nothing goes on from yet."""

    number: int
    size: int


class BucketMirror:
    """Puts one entry after the other; see CommitMirror."""

    def __init__(self, bucket: MirrorBucket, run: str, generation: int, lease: float) -> None:
        """*lease*: seconds for which the batch counts as this run's own after an entry was begun."""
        self.run = run
        self.generation = generation
        self._bucket = bucket
        self._lease = lease
        self._last = EntryPlace(generation, 0)
        self._base = 0
        self._behind_base = 0
        """Bytes of the entries behind the last copy."""
        self._copied = 0
        """Bytes of that copy."""
        self._unanswered: tuple[bytes, _Moment] | None = None
        """What was put without an answer, and when it was put first."""
        self._owned_at = _Moment(0.0, float("-inf"))

    @property
    def copy_due(self) -> bool:
        """Whether so much was put since the last copy of the ledger that another one is worth it."""
        many = self._last.number - self._base >= MOST_ENTRIES
        return many or self._behind_base >= max(LEAST_BYTES, 2 * self._copied)

    def put_commits(self, frames: bytes, commits: int) -> None:
        """Put the pages that commits wrote; see CommitMirror."""
        self.put_again()
        content = pack_entry(self._make_entry(frames=frames, commits=commits))
        self._put(content)
        self._behind_base += len(content)

    def put_again(self) -> None:
        """Put what had no answer; see CommitMirror."""
        if self._unanswered is not None:
            self._put(self._unanswered[0])

    def put_copy(self, ledger: Path, commits: int) -> None:
        """Put a copy of the whole ledger; see CommitMirror."""
        self.put_again()
        kept = self._upload(ledger, self._last.next)
        self._put(pack_entry(replace(self._make_entry(commits=commits), base=kept.number)))
        self.use_copy(kept)

    @property
    def last(self) -> int:
        """The number of the last entry; see CommitMirror."""
        return self._last.number

    def keep_copy(self, ledger: Path, *, behind: int) -> KeptCopy:
        """Put a copy that nothing goes on from yet; see CommitMirror.

        It may have pages of later commits, which are written once more by the run that reads on from it.
        """
        return self._upload(ledger, EntryPlace(self.generation, behind))

    def use_copy(self, kept: object) -> None:
        """Have what is put later go on from a copy that was kept; see CommitMirror."""
        assert isinstance(kept, KeptCopy)
        self._base, self._copied, self._behind_base = kept.number, kept.size, 0

    def remove_old(self) -> None:
        """Remove what is not needed any more: older copies, entries and generations."""
        copy = EntryPlace(self.generation, self._base).copy_by(self.run)
        self._bucket.remove(old_names(self._bucket.list_names(), copy))

    def may_pay(self) -> bool:
        """Whether the batch was this run's own within the lease; see CommitMirror."""
        return self._owned_at.is_within(self._lease)

    def _make_entry(self, *, frames: bytes = b"", commits: int) -> MirrorEntry:
        return MirrorEntry(
            run=self.run,
            host=platform.node(),
            at=round(time.time(), 3),
            commits=commits,
            base=self._base,
            frames=frames,
        )

    def _upload(self, ledger: Path, place: EntryPlace) -> KeptCopy:
        size = 0

        def pieces() -> Iterator[bytes]:
            nonlocal size
            for piece in pack_file(ledger):
                size += len(piece)
                yield piece

        self._bucket.write(place.copy_by(self.run), pieces())
        return KeptCopy(place.number, size)

    def _put(self, content: bytes) -> None:
        began = _Moment.now()
        first = began if self._unanswered is None else self._unanswered[1]
        self._unanswered = content, first
        place = self._last.next
        if not self._bucket.create(place.name, content):
            self._refuse_other(place, content)
            # It may have come long before this answer, and the batch been taken over in between.
            began = first
        self._unanswered = None
        self._last = place
        self._owned_at = began

    def _refuse_other(self, place: EntryPlace, content: bytes) -> None:
        """Raise TakenOver unless what is at *place* is *content*, put before without an answer."""
        try:
            there = self._bucket.read(place.name)
        except ObjectGone as error:
            raise NoAnswer(f"{self._bucket.address}: two writes met at {place.name}") from error
        if there != content:
            raise TakenOver(
                f"{tell_owner(there, self._bucket.address)}: this run has ended, and pays for nothing more"
            )


def tell_owner(content: bytes, address: str) -> str:
    """Return who has taken over the batch that is mirrored at *address*, by what stands in the way."""
    try:
        other = unpack_entry(content)
    except NoMirrorEntry:
        return f"{address} was written by another program"
    at = f"{datetime.fromtimestamp(other.at, UTC):%Y-%m-%d %H:%M:%S} UTC"
    if other.for_good:
        return f"the batch is mirrored at {address} no more since {at}"
    return f"another run has taken the batch over at {address} (on {other.host or 'a machine'}, {at})"


def pack_file(path: Path) -> Iterator[bytes]:
    """Yield the content of a file, packed, in pieces."""
    packer = zlib.compressobj(1)
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            if packed := packer.compress(piece):
                yield packed
    yield packer.flush()
