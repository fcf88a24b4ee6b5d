"""The user's folders: for settings, and for what can be found out again at any time."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping


class _Place(NamedTuple):
    """Where a system has such a folder: what a variable names, else a folder below the home."""

    variable: str
    below_home: str


_WINDOWS, _OTHERS = "win32", ""
_CACHES = {
    _WINDOWS: _Place("LOCALAPPDATA", "AppData/Local"),
    "darwin": _Place("XDG_CACHE_HOME", "Library/Caches"),
    _OTHERS: _Place("XDG_CACHE_HOME", ".cache"),
}
_SETTINGS = {
    _WINDOWS: _Place("LOCALAPPDATA", "AppData/Local"),
    "darwin": _Place("XDG_CONFIG_HOME", "Library/Application Support"),
    _OTHERS: _Place("XDG_CONFIG_HOME", ".config"),
}


def cache_folder(environ: Mapping[str, str], system: str = sys.platform) -> Path | None:
    """Return batchfill's folder among the user's caches, which need not be there yet; None: no home is known.

    *system*: as `sys.platform` has it.
    """
    return _find_folder(_CACHES, environ, system)


def config_folder(environ: Mapping[str, str], system: str = sys.platform) -> Path | None:
    """Return batchfill's folder among the user's settings, as `cache_folder` returns that of the caches."""
    return _find_folder(_SETTINGS, environ, system)


def _find_folder(places: Mapping[str, _Place], environ: Mapping[str, str], system: str) -> Path | None:
    place = places.get(system, places[_OTHERS])
    named = Path(environ.get(place.variable, ""))
    if named.is_absolute():
        return named / "batchfill"
    home = Path(environ.get("USERPROFILE" if system == _WINDOWS else "HOME", ""))
    return home / place.below_home / "batchfill" if home.is_absolute() else None
