"""Which files a manifest may name; a stranger may have written it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple


class Reach(NamedTuple):
    """The folder whose files a manifest may name, and what messages call it."""

    folder: Path
    name: str

    def holds(self, path: Path) -> bool:
        """Whether *path*, links followed, is below the folder."""
        return path.is_relative_to(self.folder)


def reach_of(folder: Path) -> Reach:
    """Return the reach of a manifest in *folder*: the folder above it, as pictures often lie beside it.

    Where that one is the user's home, or holds it, or is a whole disk, it is *folder* alone: what was sent by
    a stranger and lies among the downloads has no business in all the user's files.
    """
    folder = folder.resolve()
    above = folder.parent
    if above == above.parent or _home().is_relative_to(above):
        return Reach(folder, "the manifest's folder")
    return Reach(above, "the folder above the manifest's")


def is_hidden(address: str, folder: Path) -> bool:
    """Whether *address*, relative to *folder*, goes by a name that begins with a dot, as keys' names do."""
    # As it is written: where links lead to is their maker's choice, and some tools keep pictures that way.
    named = os.path.relpath(os.path.normpath(folder / address), folder)
    return any(part.startswith(".") and part != ".." for part in Path(named).parts)


def _home() -> Path:
    try:
        return Path.home().resolve()
    except RuntimeError:
        # Nobody's home: then every folder is as good as any other.
        return Path()
