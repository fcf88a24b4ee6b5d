"""A manifest that comes by standard input."""

from __future__ import annotations

import atexit
import shutil
import sys
import tempfile
from functools import cache
from pathlib import Path

from batchfill.errors import UsageError
from batchfill.settings.resolve import STANDARD_INPUT

__all__ = ["STANDARD_INPUT", "spool_input"]


# A command reads its manifest several times, and standard input can be read once.
@cache
def spool_input() -> Path:
    """Copy standard input to a file that is gone when the process ends. Raises UsageError.

    Its name is what messages call it.
    """
    folder = Path(tempfile.mkdtemp(prefix="batchfill-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    path = folder / "standard input"
    try:
        with path.open("wb") as file:
            shutil.copyfileobj(sys.stdin.buffer, file)
    except (AttributeError, OSError, ValueError) as error:
        raise UsageError(f"standard input cannot be read: {error}") from error
    return path
