"""Whole files that workers leave below `made/` of --outputs, where they wait for their places there.

Each is in a folder that is named by its content. So who knows that content finds the file, whatever has died
since it was left.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, NamedTuple

from batchfill.errors import NoAnswer
from batchfill.storage.remote_files import RemoteTask, fetch_file, put_file
from batchfill.storage.remote_store import store_of_process

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from batchfill.domain.objects import ObjectFile
    from batchfill.storage.staged_file import StagedFile

MADE = "made/"
"""Where they wait, below the address of --outputs."""


_CONTENT = re.compile(r"[0-9a-f]{64}")


class OutputGone(NoAnswer):
    """An output that was to be worked on is not in the bucket, as far as its worker sees."""


@dataclass(frozen=True, slots=True)
class MadeFile:
    """A whole file that waits there."""

    size: int
    sha256: str


class PlacedObject(NamedTuple):
    """A file of the batch that a bucket has, in its place or on its way there."""

    root: str
    """The address of --outputs."""
    file: str
    """Where its place is, relative to that."""
    sha256: str


class LeftOutput(NamedTuple):
    """An output that a worker may have left, though no one was told."""

    root: str
    """The address of --outputs."""
    name: str
    """Its name there, without the suffix."""
    path: Path
    """Where a copy of it is to be."""


class CopyOrder(NamedTuple):
    """A file that waits, and the address of its place."""

    made: ObjectFile
    address: str


def leave_file(root: str, file: StagedFile, name: str) -> MadeFile:
    """Leave a *file* of this machine below *root*, for its place there.

    *name*: another one for each output of the batch, with its suffix; two of equal content are two objects.
    Raises OSError, ObjectsRefused and NoAnswer as `put_file`.
    """
    if put_file(RemoteTask(f"{root}{MADE}{file.sha256}/{name}", file.path, file.sha256)) is None:
        raise NoAnswer(f"{name} changed on the disk of the worker before it was put")
    return MadeFile(file.size, file.sha256)


def find_made(root: str, sha256: str) -> ObjectFile | None:
    """Return a file of this content that waits for its place; None: there is none.

    Raises ObjectsRefused and NoAnswer as every call of a storage.
    """
    pages = store_of_process().list_objects(f"{root}{MADE}{sha256}/")
    return next((one for page in pages for one in page), None)


def list_made(root: str) -> list[tuple[str, str]]:
    """Return the SHA-256 and the address of every file that waits. Raises as `find_made`."""
    pages = store_of_process().list_objects(f"{root}{MADE}")
    found = (
        (one.address.removeprefix(f"{root}{MADE}").partition("/")[0], one) for page in pages for one in page
    )
    return [(content, one.address) for content, one in found if _CONTENT.fullmatch(content)]


def fetch_left(order: LeftOutput) -> StagedFile | None:
    """Return a copy of an output that a worker left, whatever its content; None: none has left it whole.

    Raises as `fetch_file`, and as `find_made`.
    """
    for content, address in list_made(order.root):
        name = PurePosixPath(address).name
        is_it = name.removesuffix(PurePosixPath(name).suffix) == order.name
        if is_it and (copy := fetch_file(RemoteTask(address, order.path, content))) is not None:
            return copy
    return None


def addresses_of(placed: PlacedObject) -> Iterator[str]:
    """Yield where *placed* may be: in its place, else where it waits, else in its place by now.

    A run that moves it removes it last from where it waited. Raises as `find_made`.
    """
    yield f"{placed.root}{placed.file}"
    if (made := find_made(placed.root, placed.sha256)) is not None:
        yield made.address
    yield f"{placed.root}{placed.file}"


def fetch_placed(placed: PlacedObject, path: Path) -> StagedFile | None:
    """Return a copy of *placed* at *path*; None: the bucket has it no more. Raises as `fetch_file`."""
    tasks = (RemoteTask(address, path, placed.sha256) for address in addresses_of(placed))
    return next((copy for copy in map(fetch_file, tasks) if copy is not None), None)


def copy_made(order: CopyOrder) -> ObjectFile | None:
    """Have the bucket copy a file to its place; return what is there then.

    None: that is no copy of it, by its size. Whether its content is the same, an ETag alone can tell.
    Raises ObjectGone where it waits no more, ObjectsRefused and NoAnswer as every call of a storage.
    """
    store = store_of_process()
    store.copy_object(order.made.address, order.address)
    found = store.find_object(order.address)
    return found if found is not None and found.size == order.made.size else None
