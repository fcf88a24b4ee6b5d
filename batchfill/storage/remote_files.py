"""Files of a batch folder below an address of a bucket: work for any process, safe to be done twice."""

from __future__ import annotations

import os
from dataclasses import dataclass
from hashlib import sha256
from io import BytesIO
from typing import TYPE_CHECKING, NamedTuple
from uuid import uuid4

from batchfill.domain.objects import RemoteCopy, object_of_content
from batchfill.errors import NoAnswer, ObjectGone, ObjectsRefused
from batchfill.filenames import mime_of
from batchfill.regular_files import open_regular
from batchfill.storage.output_store import OUTPUTS, is_current
from batchfill.storage.remote_store import store_of_process
from batchfill.storage.staged_file import StagedFile

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from batchfill.storage.object_store import ObjectWriter

PROBE = "batchfill-probe"
"""How the object begins by which it is found out what the credentials may do."""

OWNERS = "batchfill-batch/"
"""Where an object tells by its name which batch has the address."""


@dataclass(frozen=True, slots=True)
class RemoteTask:
    """A file of the disk, and its address in the bucket."""

    address: str
    path: Path
    """Where it is on the disk, or where a copy of it is to be."""
    sha256: str
    """Of its content."""


class PresenceTask(NamedTuple):
    """A file that was put, to be compared with what is there."""

    address: str
    size: int
    copy: RemoteCopy


class PutFile(NamedTuple):
    """What the bucket has now."""

    size: int
    etag: str | None
    """None: the answer did not tell it."""


def put_file(task: RemoteTask) -> PutFile | None:
    """Have the bucket hold the file of *task*; None: it is not what *task* says, so that nothing was done.

    Raises OSError where the file cannot be read, ObjectsRefused and NoAnswer as every call of a storage;
    NoAnswer, too, where the bucket does not show it after it took it.
    """
    with open_regular(task.path) as file:
        content = file.read()
    if sha256(content).hexdigest() != task.sha256:
        return None
    etag = store_of_process().put_object(task.address, content, mime=mime_of(task.address))
    if not is_there(PresenceTask(task.address, len(content), RemoteCopy(task.sha256, etag))):
        raise NoAnswer(f"{task.address} is not there after it was written")
    return PutFile(len(content), etag)


def is_there(task: PresenceTask) -> bool:
    """Whether the bucket has what *task* says: it is read where its tag does not tell.

    Raises ObjectsRefused and NoAnswer as every call of a storage.
    """
    found = store_of_process().find_object(task.address)
    if found is None or found.size != task.size:
        return False
    if found.etag == task.copy.etag:
        return True
    try:
        store_of_process().read_object(object_of_content(task.address, task.copy.sha256), BytesIO())
    except ObjectGone:
        return False
    return True


def fetch_file(task: RemoteTask) -> StagedFile | None:
    """Return a copy, at the path of *task*, of what was put; None: it is not there, or has become another.

    Raises OSError where the disk does not take it, ObjectsRefused and NoAnswer as every call of a storage.
    """
    wanted = object_of_content(task.address, task.sha256)
    try:
        with task.path.open("xb") as file:
            store_of_process().read_object(wanted, file)
            file.flush()
            os.fsync(file.fileno())
            size = file.tell()
    except ObjectGone:
        task.path.unlink()
        return None
    except BaseException:
        task.path.unlink(missing_ok=True)
        raise
    return StagedFile(task.path, size, task.sha256)


def remove_file(address: str) -> None:
    """Have nothing at *address*."""
    store_of_process().remove_object(address)


def find_other(root: str, known: Collection[str]) -> str | None:
    """Return a picture below *root* that is none of the files *known*; None: there is none.

    Those whose names hold the ids of their predictions are left out: no other file gets such a name.
    Raises ObjectsRefused, NoAnswer.
    """
    for page in store_of_process().list_objects(f"{root}{OUTPUTS}/"):
        for one in page:
            file = one.address.removeprefix(root)
            if file not in known and is_current(file):
                return file
    return None


def claim(root: str, batch: str) -> bool:
    """Have *root* belong to *batch*; False: another one has it, or claims it in the same moment.

    A batch has it that finds itself alone after it put its name there. So of two at most one does, and no
    storage has to keep what is there from being written over. Raises ObjectsRefused, NoAnswer.
    """
    store, own = store_of_process(), f"{root}{OWNERS}{batch}"
    store.put_object(own, b"batchfill keeps the outputs of this batch here\n", mime="text/plain")
    there = {one.address for page in store.list_objects(root + OWNERS) for one in page}
    if own not in there:
        raise NoAnswer(f"{own} is not listed after it was written")
    if there != {own}:
        store.remove_object(own)
    return there == {own}


def ask_for_rights(root: str, store: ObjectWriter | None = None) -> None:
    """Find out with an object of no use whether files can be put below *root*, looked at and removed.

    Raises ObjectsRefused where they cannot, NoAnswer where another try may tell.
    """
    store = store or store_of_process()
    # A name of its own: two commands that ask at once do not remove each other's.
    content, address = b"batchfill may write here\n", f"{root}{PROBE}-{uuid4().hex[:8]}"
    store.put_object(address, content, mime="text/plain")
    found = store.find_object(address)
    if found is None or found.size != len(content):
        raise ObjectsRefused(f"{address} is not there after it was written: is this a storage of objects?")
    store.remove_object(address)
