"""Local files that rows name: which are allowed, found, and digested."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable
from functools import lru_cache
from hashlib import file_digest
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from batchfill.domain.rows import LocalFile, Stamp
from batchfill.errors import did_you_mean
from batchfill.regular_files import open_regular

if TYPE_CHECKING:
    from batchfill.domain.rows import NamedFile


Digest = Callable[[Path], LocalFile]
"""Says what a local file is; it raises OSError when it cannot be read."""

_SCHEME = re.compile(r"(?:([A-Za-z][A-Za-z0-9+.-]+)://|(data|file|blob|javascript|mailto):)", re.IGNORECASE)
_URL = re.compile(r"https?://[^\s/?#]\S*", re.IGNORECASE)
LARGEST = 512 * 1024 * 1024
"""Bytes of one file: it is read into memory to be scaled down, and the service takes 100 MiB."""

_NEIGHBOURS = 5000
_HINTS = 20
"""Looking for near names is slow, and nobody reads more than the first mistakes."""


def digest_file(path: Path) -> LocalFile:
    """Return *path* with its stamp and SHA-256, read as a stream. Raises OSError."""
    with open_regular(path) as file:
        # Before the content: what is changed while it is read has another stamp afterwards.
        stamp = Stamp.of(os.fstat(file.fileno()))
        content = file_digest(file, "sha256")
    return LocalFile(path, stamp, content.hexdigest())


class LocalFiles:
    """The files below one manifest's folder."""

    def __init__(self, folder: Path, *, allow_outside: bool, digest: Digest) -> None:
        self._folder = folder.resolve()
        self._reach = reach_of(folder)
        self._allow_outside = allow_outside
        self._digest = digest
        self._hints = _HINTS
        # Many rows share a picture or a mask; bounded, because a million rows may not.
        self._remembered = lru_cache(maxsize=4096)(self._find_uncached)

    def find_file(self, address: str) -> LocalFile | None:
        """Return the local file that *address* names, None for an http(s) URL.

        Raises ValueError with what is wrong: no such file, outside, a folder, empty, another scheme.
        """
        if _URL.fullmatch(address) and address.isprintable():
            return None
        if scheme := _SCHEME.match(address):
            raise _refused_scheme(address, scheme[1] or scheme[2])
        return self._remembered(address)

    def _find_uncached(self, address: str) -> LocalFile:
        path = self._resolve_address(address)
        self._check_file(address, path)
        try:
            found = self._digest(path)
        except OSError as error:
            raise ValueError(f"{address} cannot be read: {error.strerror}") from error
        # Only these bytes are ever sent: had a link been put in their way meanwhile, they would be others'.
        if self._resolve_address(address) != path:
            raise ValueError(f"{address} was changed while it was read: check again")
        return found

    def _resolve_address(self, address: str) -> Path:
        path = Path(_resolve_address(self._folder, address))
        if not self._allow_outside:
            self._refuse_outside(address, path)
        return path

    def _refuse_outside(self, address: str, path: Path) -> None:
        way_out = "copy it there, or give --allow-outside"
        if objection := self._reach.objection(address, path):
            raise ValueError(f"{address} {objection}: {way_out}")
        if is_hidden(address, self._folder):
            way_out = "copy it to another name, or give --allow-outside"
            raise ValueError(f"{address} is hidden by a dot, as files with keys are: {way_out}")

    def _check_file(self, address: str, path: Path) -> None:
        try:
            facts = path.stat()
        except (FileNotFoundError, NotADirectoryError):
            raise ValueError(f"no such file {address}{self._nearest_name(path)}") from None
        except OSError as error:
            raise ValueError(f"{_shorten_address(address)} cannot be read: {error.strerror}") from error
        if stat.S_ISDIR(facts.st_mode):
            raise ValueError(f"{address} is a folder, not a file")
        if not stat.S_ISREG(facts.st_mode):
            raise ValueError(f"{address} is not a regular file")
        if facts.st_size == 0:
            raise ValueError(f"{address} is an empty file")
        if facts.st_size > LARGEST:
            size, most = facts.st_size // 2**20, LARGEST // 2**20
            raise ValueError(f"{address} has {size:,} MiB; at most {most} are taken: scale it down")

    def _nearest_name(self, path: Path) -> str:
        if not self._hints:
            return ""
        self._hints -= 1
        try:
            with os.scandir(path.parent) as entries:
                names = [entry.name for entry in islice(entries, _NEIGHBOURS)]
        except OSError:
            return f" (there is no folder {path.parent.name})"
        return did_you_mean(path.name, names)


class FileLocations:
    """Where the addresses of one manifest lead."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.resolve()
        self._real = lru_cache(maxsize=1024)(lambda head: os.path.realpath(self._folder / head))

    def still_hold(self, file: NamedFile) -> bool:
        """Whether the file's address leads where it led, to a file of the same stamp."""
        head, name = os.path.split(file.address)
        place = os.path.join(self._real(head), name)  # noqa: PTH118 - a million times, and no Path is needed
        facts = _stat_or_none(place)
        if facts is None or not stat.S_ISREG(facts.st_mode):
            place = _resolve_address(self._folder, file.address)
            facts = _stat_or_none(place)
        return (
            facts is not None
            and place == file.path
            and Stamp.of(facts) == file.stamp
            and os.access(place, os.R_OK)
        )


def _stat_or_none(place: str) -> os.stat_result | None:
    """Return what is known of *place* itself, should it be a link; None where there is nothing."""
    try:
        return os.lstat(place)
    except (OSError, ValueError):
        return None


def _resolve_address(folder: Path, address: str) -> str:
    """Return where *address* leads, links followed, whether or not something is there."""
    place = os.path.realpath(folder / address)
    # A manifest written on Windows: a backslash is an ordinary letter elsewhere.
    if "\\" in address and os.sep == "/" and not os.path.lexists(place):
        return os.path.realpath(folder / address.replace("\\", "/"))
    return place


def _refused_scheme(address: str, scheme: str) -> ValueError:
    if scheme.lower() == "data":
        return ValueError("data: addresses are not taken: save the picture as a file and name that")
    if scheme.lower() not in ("http", "https"):
        return ValueError(f"{scheme}: addresses are not taken: give a file, or an http or https address")
    return ValueError(f"{_shorten_address(address)} is not a whole address")


def _shorten_address(address: str) -> str:
    return address if len(address) <= 100 else f"{address[:100]}…"


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
    """Return the reach of a manifest in *folder*: the folder above it, as pictures often lie next to it.

    Where that one is the user's home, or holds it, or is a whole disk, it is *folder* alone: what was sent by
    a stranger and lies among the downloads has no business in all the user's files.
    """
    folder = folder.resolve()
    above = folder.parent
    if above == above.parent or _home_folder().is_relative_to(above):
        return Reach(folder, OWN, folder)
    return Reach(above, "the folder above the manifest's", folder)


def is_hidden(address: str, folder: Path) -> bool:
    """Whether *address*, relative to *folder*, goes by a name that begins with a dot, as keys' names do."""
    # As it is written: where links lead to is their maker's choice, and some tools keep pictures that way.
    named = os.path.relpath(os.path.normpath(folder / address), folder)
    return any(part.startswith(".") and part != ".." for part in Path(named).parts)


def _home_folder() -> Path:
    try:
        return Path.home().resolve()
    except RuntimeError:
        # No home: then every folder is as good as any other.
        return Path()
