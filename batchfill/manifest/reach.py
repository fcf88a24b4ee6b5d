"""Which files a manifest may name; a stranger may have written it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

OWN = "the manifest's folder"


class Reach(NamedTuple):
    """The folder whose files a manifest may name, and what messages call it."""

    folder: Path
    name: str
    own: Path
    """The manifest's own folder, as *folder* with links followed."""

    def objection(self, address: str, path: Path) -> str | None:
        """Return what is wrong with *address*, which leads to *path*, links followed; None when nothing is.

        A link leads no further than the address says: one without `..` stays in the manifest's own folder.
        """
        if not path.is_relative_to(self.folder):
            return f"is outside {self.name}"
        written = Path(os.path.normpath(self.own / address.replace("\\", "/")))
        if written.is_relative_to(self.own) and not path.is_relative_to(self.own):
            return f"is outside {OWN}, by way of a link"
        return None


def reach_of(folder: Path) -> Reach:
    """Return the reach of a manifest in *folder*: the folder above it, as pictures often lie beside it.

    Where that one is the user's home, or holds it, or is a whole disk, it is *folder* alone: what was sent by
    a stranger and lies among the downloads has no business in all the user's files.
    """
    folder = folder.resolve()
    above = folder.parent
    if above == above.parent or _home().is_relative_to(above):
        return Reach(folder, OWN, folder)
    return Reach(above, "the folder above the manifest's", folder)


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
