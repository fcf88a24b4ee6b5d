"""Files of a batch folder below an address of a bucket: work for any process, safe to be done twice."""

from __future__ import annotations

import os
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

from batchfill.errors import ObjectsRefused
from batchfill.filenames import mime_of
from batchfill.regular_files import open_regular
from batchfill.storage.output_store import StagedFile, digest_of
from batchfill.storage.remote_store import store_of_process

if TYPE_CHECKING:
    from pathlib import Path

    from batchfill.storage.object_store import ObjectWriter

PROBE = "batchfill-probe"
"""The object by which it is found out what the credentials may do: one name, so that no two stay."""


@dataclass(frozen=True, slots=True)
class RemoteTask:
    """A file of the disk, and its address in the bucket."""

    address: str
    path: Path
    """Where it is on the disk, or where a copy of it is to be."""
    sha256: str | None
    """Of its content; None: nothing is to be there."""


def put_file(task: RemoteTask) -> bool:
    """Have the bucket be as *task* says; False: the file is not what it says, so that nothing was done.

    Raises OSError where the file cannot be read, ObjectsRefused and NoAnswer as every call of a storage.
    """
    store = store_of_process()
    if task.sha256 is None:
        store.remove_object(task.address)
        return True
    with open_regular(task.path) as file:
        content = file.read()
    if sha256(content).hexdigest() != task.sha256:
        return False
    store.put_object(task.address, content, mime=mime_of(task.path.name))
    return True


def fetch_file(task: RemoteTask) -> StagedFile | None:
    """Return a copy, at the path of *task*, of what was put; None: it is not there, or has become another.

    Raises OSError where the disk does not take it, ObjectsRefused and NoAnswer as every call of a storage.
    """
    store = store_of_process()
    if (found := store.find_object(task.address)) is None:
        return None
    try:
        with task.path.open("xb") as file:
            store.read_object(found, file)
            file.flush()
            os.fsync(file.fileno())
        digest = digest_of(task.path)
    except BaseException:
        task.path.unlink(missing_ok=True)
        raise
    if digest != task.sha256:
        task.path.unlink()
        return None
    return StagedFile(task.path, found.size, digest)


def ask_for_rights(root: str, store: ObjectWriter | None = None) -> None:
    """Find out with an object of no use whether files can be put below *root*, looked at and removed.

    Raises ObjectsRefused where they cannot, NoAnswer where another try may tell.
    """
    store = store or store_of_process()
    content, address = b"batchfill may write here\n", root + PROBE
    store.put_object(address, content, mime="text/plain")
    found = store.find_object(address)
    if found is None or found.size != len(content):
        raise ObjectsRefused(f"{address} is not there after it was written: is this a storage of objects?")
    store.remove_object(address)
