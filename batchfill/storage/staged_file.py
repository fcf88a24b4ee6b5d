"""A temporary file: as it grows, and once it is whole and flushed."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from typing import IO


@dataclass(frozen=True, slots=True)
class StagedFile:
    """A temporary file, written and flushed to disk."""

    path: Path
    size: int
    sha256: str


class PartialFile:
    """A temporary file as it grows; its methods are for other threads than the event loop's."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: IO[bytes] | None = None
        self._digest, self._size = sha256(), 0

    def add_chunks(self, chunks: Sequence[bytes]) -> None:
        """Write *chunks* behind what is there."""
        if self._file is None:
            # Whatever stands there, a pipe perhaps, is not written to.
            self._path.unlink(missing_ok=True)
            self._file = self._path.open("xb")
        for chunk in chunks:
            self._file.write(chunk)
            self._digest.update(chunk)
            self._size += len(chunk)

    def finish_file(self, chunks: Sequence[bytes]) -> StagedFile:
        """Write the last *chunks* and flush all to disk."""
        self.add_chunks(chunks)
        assert self._file is not None
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        return StagedFile(self._path, self._size, self._digest.hexdigest())

    def discard_file(self) -> None:
        """Leave nothing behind."""
        if self._file is not None:
            with suppress(OSError):
                self._file.close()
            self._path.unlink(missing_ok=True)
