"""What a mirror is made of: generations of numbered entries, and copies of the ledger. No I/O.

    000001/0000000001              the first entry of the first run that mirrored the batch
    000001/0000000001-RUN.ledger   the ledger as it was then, packed
    000001/0000000002              what the next commits wrote
    000001/0000000003              closes the generation: the run can put no other entry behind its last one
    000002/0000000001              the first entry of the next run, here or on another machine

Every entry is made create-only, under the number behind the last one. So the run that makes it knows that no
other run has made one since: it owns the batch. An entry that closes stands where the run before would put
its next one, and stays there.
"""

from __future__ import annotations

import json
import re
import zlib
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

VERSION = 1
PROBE = "probe-"
"""How the name of an object begins that only tries the storage."""
_NAME = re.compile(r"(\d{6,})/(\d{10,})(-[0-9a-f]+\.ledger)?")


class EntryPlace(NamedTuple):
    """Where an entry is."""

    generation: int
    number: int

    @property
    def name(self) -> str:
        """The name of its object."""
        return f"{self.generation:06}/{self.number:010}"

    def copy_by(self, run: str) -> str:
        """Return the name of the run's copy of the ledger that holds all up to here."""
        # Two runs that start at once do not overwrite each other's.
        return f"{self.name}-{run}.ledger"

    @property
    def next(self) -> EntryPlace:
        """The place behind it."""
        return EntryPlace(self.generation, self.number + 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class MirrorEntry:
    """One entry."""

    run: str
    """What no other run has."""
    host: str
    """The machine of the run, for people."""
    at: float
    """When it was made, in seconds since the epoch."""
    commits: int = 0
    """How many groups of events the run has committed up to here."""
    base: int = 0
    """The number of the entry whose copy of the ledger the ones behind it go on from."""
    closes: bool = False
    """Whether the generation ends here."""
    for_good: bool = False
    """Whether the batch is mirrored here no more, so that the mirror tells less than the batch knows."""
    frames: bytes = b""
    """The pages that its commits wrote."""


class NoMirrorEntry(ValueError):
    """What is there was not written by this program, or by a newer one."""


def pack_entry(entry: MirrorEntry) -> bytes:
    """Return the content of an entry's object."""
    told = {name: value for name, value in asdict(entry).items() if name != "frames"}
    head = json.dumps({"batchfill": VERSION, **told}, separators=(",", ":"))
    # The pages of a ledger pack to a tenth at the lowest level already.
    return head.encode("ascii") + b"\n" + zlib.compress(entry.frames, 1)


def unpack_entry(content: bytes) -> MirrorEntry:
    """Return the entry of an object's content. Raises NoMirrorEntry."""
    head, _, packed = content.partition(b"\n")
    try:
        told = json.loads(head)
        version = told.pop("batchfill")
        if version > VERSION:
            raise NoMirrorEntry("it was written by a newer batchfill: update it")
        return MirrorEntry(**told, frames=zlib.decompress(packed))
    except (ValueError, TypeError, AttributeError, KeyError, zlib.error) as error:
        if isinstance(error, NoMirrorEntry):
            raise
        raise NoMirrorEntry("it is no part of a mirror") from None


def read_name(name: str) -> tuple[EntryPlace, bool] | None:
    """Return the place that an object's *name* tells, and whether it is a copy; None: it is neither."""
    found = _NAME.fullmatch(name)
    return None if found is None else (EntryPlace(int(found[1]), int(found[2])), found[3] is not None)


def old_names(names: Iterable[str], copy: str) -> list[str]:
    """Return those of *names* that nothing needs any more, once the *copy* of the last generation is used.

    Of each generation before it the two last entries stay. A run that slept meanwhile would put its next one
    where the last one is, or its last one again.
    """
    read = {name: read_name(name) for name in names}
    current = read_name(copy)
    assert current is not None
    last: dict[int, list[EntryPlace]] = {}
    for place in sorted(found[0] for found in read.values() if found is not None and not found[1]):
        last[place.generation] = [*last.get(place.generation, ())[-1:], place]
    needed = {place.name for places in last.values() for place in places} | {copy}
    return [
        name
        for name, found in read.items()
        if name not in needed
        and (name.startswith(PROBE) if found is None else found[1] or found[0] < current[0])
    ]
