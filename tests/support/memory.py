"""A folder that lies in *memory*: tests flush as much there as on a disk, wait for none, and keep nothing."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from pathlib import Path

SHARED = Path("/dev/shm")
ROOM = 4 * 2**30
"""Bytes that have to be free: all tests together write a quarter of that."""
OURS = "batchfill-tests-"


def memory() -> Path | None:
    """Return it; None where there is none, too little room in it, or no program may be started from it."""
    if not os.access(SHARED, os.W_OK):
        return None
    told = os.statvfs(SHARED)
    is_fit = told.f_bavail * told.f_frsize >= ROOM and not told.f_flag & os.ST_NOEXEC
    return SHARED if is_fit else None


def use_memory() -> None:
    """Make temporary folders there until this process ends, in it and in those that it starts.

    TMPDIR says otherwise: `TMPDIR=/tmp make test` keeps what tests leave.
    """
    shared = memory()
    if shared is None or "TMPDIR" in os.environ:
        return
    _remove_old(shared)
    own = os.getpid()
    folder = shared / f"{OURS}{own}"
    folder.mkdir(mode=0o700)
    os.environ["TMPDIR"] = tempfile.tempdir = str(folder)
    # Forks of this process end, too.
    atexit.register(lambda: shutil.rmtree(folder, ignore_errors=True) if os.getpid() == own else None)


def _remove_old(shared: Path) -> None:
    """Remove what tests have left that were killed."""
    for folder in shared.glob(f"{OURS}*"):
        if not Path("/proc", folder.name.removeprefix(OURS)).exists():
            shutil.rmtree(folder, ignore_errors=True)
