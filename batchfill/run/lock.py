"""One process writes a batch: an operating system's lock on a file that is never deleted."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING

from batchfill.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NAME = "lock"

if sys.platform == "win32":
    import msvcrt

    def _take(file: IO[str]) -> None:
        # Far beyond the text, so that others can still read who holds it.
        file.seek(2**30)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        file.seek(0)
else:
    import fcntl

    def _take(file: IO[str]) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Hold the batch folder's lock. Raises UsageError when another process does."""
    path = folder / NAME
    with path.open("a+", encoding="utf-8") as file:
        try:
            _take(file)
        except OSError:
            raise UsageError(
                f"another batchfill works on this batch ({_holder(path)}): wait for it, "
                "or stop it with `batchfill stop`"
            ) from None
        file.truncate(0)
        file.write(f"process {os.getpid()}\n")
        file.flush()
        yield


def is_held(folder: Path) -> bool:
    """Whether some process works on the batch."""
    path = folder / NAME
    if not path.exists():
        return False
    try:
        with path.open("a+", encoding="utf-8") as file:
            _take(file)
    except OSError:
        return True
    return False


def _holder(path: Path) -> str:
    try:
        return path.read_text("utf-8").strip() or "it has just begun"
    except OSError:
        return "it does not say which process"
