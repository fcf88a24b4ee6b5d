"""Local files that rows name: which are allowed, found, and digested."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from hashlib import file_digest
from itertools import islice
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING

from batchfill.domain.rows import LARGEST, LocalFile, Stamp
from batchfill.errors import MissingFile, did_you_mean
from batchfill.manifest.local_addresses import LocalAddresses, reach_of
from batchfill.regular_files import open_regular

if TYPE_CHECKING:
    from batchfill.domain.rows import NamedFile
    from batchfill.manifest.local_addresses import LocatedFile


Digest = Callable[[Path], LocalFile]
"""Says what a local file is; it raises OSError when it cannot be read."""

_SCHEME = re.compile(r"(?:([A-Za-z][A-Za-z0-9+.-]+)://|(data|file|blob|javascript|mailto):)", re.IGNORECASE)
_URL = re.compile(r"https?://[^\s/?#]\S*", re.IGNORECASE)
FEW = 3
"""Missing files of one folder that are told one by one."""

_NEIGHBOURS = 5000
_HINTS = 20
"""Looking for near names is slow, and a person reads the first mistakes only."""


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
        self._folder = folder
        self._addresses = LocalAddresses(folder)
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
        place = self._locate(address)
        self._check_file(address, place)
        path = Path(place.path)
        try:
            found = self._digest(path)
        except OSError as error:
            raise ValueError(f"{address} cannot be read: {error.strerror}") from error
        # Only these bytes are ever sent: had a link been put in their way meanwhile, they would be others'.
        if self._locate(address) != place:
            raise ValueError(f"{address} was changed while it was read: check again")
        return replace(found, spelled=self._addresses.relative(place)) if place.other_case else found

    def _locate(self, address: str) -> LocatedFile:
        place = self._addresses.locate(address)
        if not self._allow_outside:
            self._refuse_outside(address, place)
        return place

    def _refuse_outside(self, address: str, place: LocatedFile) -> None:
        way_out = "copy it there, or give --allow-outside"
        if objection := self._reach.objection(place):
            raise ValueError(f"{address} {objection}: {way_out}")
        if self._addresses.is_hidden(place):
            way_out = "copy it to another name, or give --allow-outside"
            raise ValueError(f"{address} is hidden by a dot, as files with keys are: {way_out}")
        if os.pardir in place.spelled and os.path.realpath(place.named) != place.path:
            # What was judged would be another file than what is opened.
            raise ValueError(f"{address} goes up by .. from behind a link: name the file without ..")

    def _check_file(self, address: str, place: LocatedFile) -> None:
        path = Path(place.path)
        if place.rivals:
            raise ValueError(
                f"no such file {address}, but {' and '.join(place.rivals)}: name the one you mean"
            )
        try:
            facts = path.stat()
        except (FileNotFoundError, NotADirectoryError):
            raise MissingFile(f"no such file {address}{self._nearest_name(address, path)}") from None
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

    def _nearest_name(self, address: str, path: Path) -> str:
        if not self._hints:
            return ""
        self._hints -= 1
        try:
            with os.scandir(path.parent) as entries:
                names = [entry.name for entry in islice(entries, _NEIGHBOURS)]
        except OSError:
            meant = explain_missing_folder(
                self._folder, str(PurePosixPath(address.replace("\\", "/")).parent)
            )
            return f" (there is no folder {path.parent.name}{meant})"
        return did_you_mean(path.name, names)


def explain_missing_folder(start: Path, folder: str) -> str:
    """Return what else may be meant by *folder*, which is not there; nothing where that is not known.

    *start*: the manifest's own folder, where paths start.
    """
    if PureWindowsPath(folder).drive and not Path(folder).is_absolute():
        return ", as paths of Windows name it: write the path from the manifest's folder on"
    if folder.startswith("~"):
        return ": ~ is a home folder for shells only, so write it out"
    # A Path raises where a name is too long.
    if not Path(folder).is_absolute() and os.path.isdir(start.resolve().parent / folder):  # noqa: PTH112
        return f": paths start from the manifest's folder, so did you mean ../{folder}?"
    return ""


class FileLocations:
    """Where the addresses of one manifest lead."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.resolve()
        self._addresses = LocalAddresses(folder)
        self._real = lru_cache(maxsize=1024)(lambda head: os.path.realpath(self._folder / head))

    def still_hold(self, file: NamedFile) -> bool:
        """Whether the file's address leads where it led, to a file of the same stamp."""
        head, name = os.path.split(file.address)
        place = os.path.join(self._real(head), name)  # noqa: PTH118 - a million times, and no Path is needed
        facts = _stat_or_none(place)
        if facts is None or not stat.S_ISREG(facts.st_mode):
            place = self._addresses.locate(file.address).path
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


def _refused_scheme(address: str, scheme: str) -> ValueError:
    if scheme.lower() == "data":
        return ValueError("data: addresses are not taken: save the picture as a file and name that")
    if scheme.lower() not in ("http", "https"):
        return ValueError(
            f"{scheme}: addresses are not taken: give a file, or an http(s), s3, gs or az address"
        )
    return ValueError(f"{_shorten_address(address)} is not a whole address")


def _shorten_address(address: str) -> str:
    return address if len(address) <= 100 else f"{address[:100]}…"
