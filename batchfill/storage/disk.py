"""Free space on a disk."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def free_bytes(folder: Path) -> int | None:
    """Return how much may still be written where *folder* is; None where the system does not say."""
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return None
