"""Files of finished rows that are no longer as they were fetched."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from batchfill import filenames
from batchfill.errors import BadPicture
from batchfill.storage.output_store import digest_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator
    from pathlib import Path

    from batchfill.domain.rows import StoredFile


class FileState(StrEnum):
    """What became of a file."""

    IN_PLACE = "in place"
    MISSING = "missing"
    DAMAGED = "damaged"
    """Changed, and no whole picture any more."""
    CHANGED = "changed"
    """A whole picture still: the user's own work on it, which is left alone."""


LOST = frozenset({FileState.MISSING, FileState.DAMAGED})


@dataclass(frozen=True, slots=True)
class Missing:
    """Finished rows of which files are lost."""

    attempts: tuple[int, ...]
    """The numbers of the attempts that made them."""
    price: int | None
    """Of making them again, in millionths; None where no price is known."""


NONE_MISSING = Missing((), 0)


def file_state(path: Path, placed: StoredFile) -> FileState:
    """Return what became of a file that was *placed*, at *path* on the disk."""
    # Decoders are loaded where there is a file to decode.
    from batchfill.images.codec.decode import decode_whole

    if not path.is_file():
        return FileState.MISSING
    try:
        if path.stat().st_size == placed.size and digest_of(path) == placed.sha256:
            return FileState.IN_PLACE
        decode_whole(path)
    except (BadPicture, OSError):
        return FileState.DAMAGED
    return FileState.CHANGED


def of_rows(collected: Iterable[StoredFile], ids: Collection[str]) -> Iterator[StoredFile]:
    """Yield what was collected of the rows with these ids; of all, where none is named."""
    folded = frozenset(map(filenames.fold_case, ids))
    return (placed for placed in collected if not folded or filenames.fold_case(placed.id) in folded)


def summarize_lost(lost: Iterable[StoredFile]) -> Missing:
    """Return the rows of the files that are *lost*."""
    prices = {placed.attempt: placed.price for placed in lost}
    known = [price for price in prices.values() if price is not None]
    return Missing(tuple(prices), sum(known) if len(known) == len(prices) else None)
