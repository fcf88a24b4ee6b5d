"""The user's folder for what can be found out again at any time."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_NAMED = {"win32": "LOCALAPPDATA"}
"""Variable that names the folder, by system; elsewhere that of the XDG base directories."""
_HOMES = {"win32": "USERPROFILE"}
_BELOW_HOME = {"win32": "AppData/Local", "darwin": "Library/Caches"}


def cache_folder(environ: Mapping[str, str], system: str = sys.platform) -> Path | None:
    """Return batchfill's folder among the user's caches, which need not be there yet; None: no home is known.

    *system*: as `sys.platform` has it.
    """
    named = Path(environ.get(_NAMED.get(system, "XDG_CACHE_HOME"), ""))
    if named.is_absolute():
        return named / "batchfill"
    home = Path(environ.get(_HOMES.get(system, "HOME"), ""))
    return home / _BELOW_HOME.get(system, ".cache") / "batchfill" if home.is_absolute() else None
