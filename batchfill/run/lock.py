"""One process writes a batch: an operating system's lock on a file that is never deleted."""

from __future__ import annotations

import os
import sys
import time
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING

from batchfill.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NAME = "lock"
LOOKS = 20
BETWEEN_LOOKS = 0.01
"""Seconds."""

if sys.platform == "win32":
    import msvcrt

    def _take(file: IO[str], *, looking: bool = False) -> None:
        # Far beyond the text, so that others can still read who holds it.
        file.seek(2**30)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        file.seek(0)
else:
    import fcntl

    def _take(file: IO[str], *, looking: bool = False) -> None:
        # Those who only look do not take each other for a run.
        fcntl.flock(file, (fcntl.LOCK_SH if looking else fcntl.LOCK_EX) | fcntl.LOCK_NB)


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Hold the batch folder's lock. Raises UsageError when another process does."""
    path = folder / NAME
    with _opened(path) as file:
        if not _taken(file):
            raise UsageError(
                f"another batchfill works on this batch ({_holder(path)}): wait for it, "
                "or stop it with `batchfill stop`"
            )
        # On a full disk it is held all the same.
        with suppress(OSError):
            os.ftruncate(file.fileno(), 0)
            os.write(file.fileno(), f"{_us()}\n".encode())
        yield


def is_ours(folder: Path) -> bool:
    """Whether this process holds the batch folder's lock."""
    return is_held(folder) and _holder(folder / NAME) == _us()


def _us() -> str:
    return f"process {os.getpid()}"


def _opened(path: Path) -> IO[str]:
    try:
        return path.open("a+", encoding="utf-8")
    except OSError as error:
        raise UsageError(
            f"{path} cannot be written: {error.strerror}; check the folder's permissions, "
            "or give another with --out"
        ) from error


def is_held(folder: Path) -> bool:
    """Whether some process works on the batch."""
    try:
        file = (folder / NAME).open("r+" if sys.platform == "win32" else "r", encoding="utf-8")
    except OSError:
        return False  # none yet, or an archive in which nobody can write
    with file:
        try:
            _take(file, looking=True)
        except OSError:
            return True
    return False


def _taken(file: IO[str]) -> bool:
    # Whoever asks whether it is held takes it for a moment, which must not turn a run away.
    for _ in range(LOOKS):
        try:
            _take(file)
        except OSError:
            time.sleep(BETWEEN_LOOKS)
        else:
            return True
    return False


def _holder(path: Path) -> str:
    try:
        return path.read_text("utf-8").strip() or "it has just begun"
    except OSError:
        return "it does not say which process"
