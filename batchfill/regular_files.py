"""Opening a file that others can reach: a pipe or a device in its place is refused, and never waited for."""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from io import BufferedReader
    from pathlib import Path

# To open a pipe without O_NONBLOCK is to wait for its writer.
_FLAGS = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


def open_regular(path: Path) -> BufferedReader:
    """Open the regular file at *path*, links followed, to read it. Raises OSError for anything else."""
    return os.fdopen(_open(path, os.O_RDONLY), "rb")


def open_to_append(path: Path) -> int:
    """Return a descriptor that reads the regular file at *path* and appends to it; it is made where none is.

    Raises OSError for anything else.
    """
    return _open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT)


def _open(path: Path, flags: int) -> int:
    # Some devices take being opened for a command; and what is opened may be another by then.
    try:
        _refuse_other(path, path.stat())
    except FileNotFoundError:
        if not flags & os.O_CREAT:
            raise
    descriptor = os.open(path, flags | _FLAGS, 0o666)
    try:
        _refuse_other(path, os.fstat(descriptor))
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _refuse_other(path: Path, facts: os.stat_result) -> None:
    if stat.S_ISDIR(facts.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(facts.st_mode):
        raise OSError(errno.EINVAL, "not a regular file", str(path))
