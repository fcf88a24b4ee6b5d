"""Which file a local address of a manifest means, and whether a manifest may name it."""

from __future__ import annotations

import os
import unicodedata
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from batchfill.filenames import fold_case

LISTED = 100_000
"""Names of one folder that are compared; in a larger folder, names have to be as they are written."""

_FOLDERS = 4
"""Folders whose names are remembered at a time: together they take less than 100 MB."""

_Names = dict[str, tuple[str, ...]]
"""The names of a folder, by what they share whatever the case and the Unicode form."""


class LocatedFile(NamedTuple):
    """What an address comes to. All questions about it are asked of this, never of its text."""

    spelled: str
    """The address with the separators of this system, and with names as their folders have them."""
    named: str
    """The same as an absolute path without `.` and `..`, links not followed."""
    path: str
    """Absolute, links followed: what is opened."""
    other_case: bool = False
    """Whether a name was found only by another case of its letters."""
    rivals: tuple[str, ...] = ()
    """Several names that differ from the one asked for only in case; then nothing is found."""


class LocalAddresses:
    """Finds what the local addresses of one manifest mean."""

    def __init__(self, folder: Path) -> None:
        """*folder*: the manifest's, which addresses are relative to."""
        self._folder = os.path.realpath(folder)
        self._names = lru_cache(maxsize=_FOLDERS)(_list_names)

    def locate(self, address: str) -> LocatedFile:
        """Return what *address* means, whether or not something is there.

        A name counts as it is written; else with `\\` as a separator; else in another Unicode form; else in
        another case, where just one name of its folder agrees.
        """
        place = self._find_place(address)
        if os.path.lexists(place.path):
            return place
        if os.sep == "/" and "\\" in address:
            # A manifest written on Windows: a backslash is an ordinary letter elsewhere.
            place = self._find_place(address.replace("\\", "/"))
            if os.path.lexists(place.path):
                return place
        return self._look_around(place)

    def relative(self, place: LocatedFile) -> str:
        """Return the address of *place* in its shortest form, with forward slashes."""
        return Path(os.path.relpath(place.named, self._folder)).as_posix()

    def is_hidden(self, place: LocatedFile) -> bool:
        """Whether *place* goes by a name that begins with a dot, as keys' names do.

        Where links lead to is their maker's choice, and some tools keep pictures that way.
        """
        return any(part.startswith(".") and part != ".." for part in Path(self.relative(place)).parts)

    def _find_place(self, spelled: str) -> LocatedFile:
        whole = os.path.join(self._folder, spelled)  # noqa: PTH118 - a Path drops nothing, and takes longer
        return LocatedFile(spelled, os.path.normpath(whole), os.path.realpath(whole))

    def _look_around(self, place: LocatedFile) -> LocatedFile:
        """Return *place* with each of its names as the folder has it, as far as there is one."""
        parts = Path(place.spelled).parts
        way, other_case = "", False
        for at, part in enumerate(parts):
            found = self._names_like(part, os.path.join(self._folder, way))  # noqa: PTH118
            if len(found) > 1:
                rivals = tuple(Path(way, name, *parts[at + 1 :]).as_posix() for name in found)
                return place._replace(rivals=rivals)
            if not found:
                return self._find_place(os.path.join(way, *parts[at:]))  # noqa: PTH118
            way = os.path.join(way, found[0])  # noqa: PTH118
            other_case = other_case or not _is_same_text(found[0], part)
        return self._find_place(way)._replace(other_case=other_case)

    def _names_like(self, name: str, folder: str) -> tuple[str, ...]:
        """Return the names in *folder* that *name* may mean: the best, or several that are alike."""
        if name == os.pardir or os.path.lexists(os.path.join(folder, name)):  # noqa: PTH118
            return (name,)
        alike = self._names(folder).get(fold_case(name), ())
        same = tuple(other for other in alike if _is_same_text(other, name))
        return same if len(same) == 1 else alike


def _is_same_text(one: str, other: str) -> bool:
    return unicodedata.normalize("NFC", one) == unicodedata.normalize("NFC", other)


def _list_names(folder: str) -> _Names:
    """Return the names in *folder*; none where it cannot be read, or has more than LISTED."""
    names: _Names = {}
    try:
        with os.scandir(folder) as entries:
            listed = [entry.name for entry in islice(entries, LISTED + 1)]
    except (OSError, ValueError):
        return {}
    if len(listed) > LISTED:
        return {}
    for name in sorted(listed):
        folded = fold_case(name)
        names[folded] = (*names.get(folded, ()), name)
    return names


OWN = "the manifest's folder"


class Reach(NamedTuple):
    """The folder whose files a manifest may name, and what messages call it."""

    folder: Path
    name: str
    own: Path
    """The manifest's own folder, as *folder* with links followed."""

    def objection(self, place: LocatedFile) -> str | None:
        """Return what is wrong with *place*; None when nothing is.

        A link leads no further than the address says: one without `..` stays in the manifest's own folder.
        """
        if not Path(place.path).is_relative_to(self.folder):
            return f"is outside {self.name}"
        if Path(place.named).is_relative_to(self.own) and not Path(place.path).is_relative_to(self.own):
            return f"is outside {OWN}, by way of a link"
        return None


def reach_of(folder: Path) -> Reach:
    """Return the reach of a manifest in *folder*: the folder above it, as pictures often lie next to it.

    Where that one is the user's home, or holds it, or is a whole disk, it is *folder* alone: what was sent by
    a stranger and lies among the downloads has no business in all the user's files.
    """
    folder = folder.resolve()
    above = folder.parent
    if above == above.parent or _home_folder().is_relative_to(above):
        return Reach(folder, OWN, folder)
    return Reach(above, "the folder above the manifest's", folder)


def _home_folder() -> Path:
    try:
        return Path.home().resolve()
    except RuntimeError:
        # No home: then every folder is as good as any other.
        return Path()
