"""Free space on a disk, and room on that of the batch folder for what a run is to fetch."""

from __future__ import annotations

import os
import shutil
import tempfile
from typing import TYPE_CHECKING

from batchfill.clock import loop_time
from batchfill.domain.progress import Level
from batchfill.errors import StorageError
from batchfill.filenames import MAX_ID
from batchfill.systems import here

if TYPE_CHECKING:
    from pathlib import Path

    from batchfill.settings.timings import Timings
    from batchfill.storage.run_log import RunLog

LEAST = 200_000_000
"""Bytes that stay free in any case: the ledger, the log and other programs need some."""

TIMES = 4
"""Times the largest picture fetched so far, for each prediction in flight: it may make four of them."""

BELOW = MAX_ID + 40
"""Characters that a path has below the batch folder at most: `/outputs/earlier/ID@10-0123456789ab.webp`."""

TRIED = 65536
"""Bytes that a disk must take before it counts as one that does."""


def free_bytes(folder: Path) -> int | None:
    """Return how much may still be written where *folder* is; None where the system does not say."""
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return None


def refuse_far(folder: Path) -> None:
    """Raise StorageError where the paths of files below *folder* may be longer than the system takes."""
    limit, path = here().longest_path(), str(folder.absolute())
    if limit is not None and len(path) + BELOW > limit:
        raise StorageError(
            f"{folder}: paths of {len(path) + BELOW} characters are needed below it, and this system takes "
            f"{limit}: give a folder nearer to the root with --out, or let the system take long paths"
        )


class DiskSpaceGuard:
    """Says whether there is room for more; a lack and its end are told once, then only to the log."""

    def __init__(self, folder: Path, telling: RunLog, timings: Timings) -> None:
        self._timings = timings
        self._folder = folder
        self._telling = telling
        self._free: int | None = None
        self._asked_at = float("-inf")
        self._short_since: float | None = None
        self._told = 0
        self._tried_at = float("-inf")

    def shortage(self, in_flight: int, largest: int, refused: str | None) -> str | None:
        """Return why nothing more may be submitted now; None while there is room.

        *in_flight*: predictions whose pictures are still to come; *largest*: bytes of one picture;
        *refused*: why the last picture could not be written, if so.
        """
        free, name = self._look_at_disk(), self._folder.name
        text = None
        if refused is not None:
            text = f"{refused}: nothing more is submitted until {name} takes pictures again"
        elif free is not None and free < max(LEAST, TIMES * largest * (in_flight + 1)):
            left = f"only {free / 1e6:,.0f} MB left on the disk of {name}"
            text = f"{left}: nothing more is submitted until there is room"
        self._note_shortage(text)
        return text

    def takes_files(self) -> bool:
        """Whether the batch folder takes a file again, which is tried every few seconds."""
        now = loop_time()
        if now - self._tried_at < self._timings.disk_look:
            return False
        self._tried_at = now
        try:
            with tempfile.TemporaryFile(dir=self._folder) as file:
                file.write(bytes(TRIED))
                file.flush()
                os.fsync(file.fileno())
        except OSError:
            return False
        return True

    @property
    def out_of_patience(self) -> bool:
        """Whether there has been no room for so long that waiting on does not help."""
        return self._short_since is not None and loop_time() - self._short_since > self._timings.disk_patience

    def _look_at_disk(self) -> int | None:
        now = loop_time()
        if now - self._asked_at >= self._timings.disk_look:
            self._asked_at, self._free = now, free_bytes(self._folder)
        return self._free

    def _note_shortage(self, text: str | None) -> None:
        if (text is None) == (self._short_since is None):
            return
        self._short_since = None if text is None else loop_time()
        self._telling.notice(text or "there is room on the disk again", self._level_of(text))
        self._told += 1

    def _level_of(self, text: str | None) -> Level:
        # While pictures come and go there may be room and none by turns.
        if self._told > 1:
            return Level.DEBUG
        return Level.WARNING if text else Level.INFO
