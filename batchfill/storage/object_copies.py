"""Local copies of objects, while work needs them and, as long as there is room, for the work after that."""

from __future__ import annotations

import os
import shutil
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from hashlib import file_digest
from typing import TYPE_CHECKING, TypeVar

import anyio
from anyio import CapacityLimiter, to_thread

from batchfill.domain.objects import ObjectFile
from batchfill.domain.rows import LocalFile, Stamp
from batchfill.storage.remote_store import RemoteStore, store_of_process

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
    from pathlib import Path

    from batchfill.domain.rows import RowFile
    from batchfill.storage.object_store import ObjectStore

Key = TypeVar("Key")

OBJECTS = "objects"
"""The folder among temporary files that is theirs alone."""
KEPT = 1 << 30
"""Bytes of copies that are kept when no work needs them: a picture is sent, and later it is finished."""
REVIEWED = 1 << 27
"""The same for the review, which makes small pictures of each at once."""
AT_ONCE = 16
"""Objects that are read at the same time."""
_LONGEST = 60
"""Characters of a name, its end: file systems take 255 bytes."""


@dataclass(slots=True, eq=False)
class _Copy:
    users: int = 0
    reading: anyio.Lock = field(default_factory=anyio.Lock)
    local: LocalFile | None = None
    """None: it is not there yet."""


@dataclass(frozen=True, slots=True)
class CopyTask:
    """An object that a worker is to read."""

    wanted: ObjectFile
    target: Path
    """On the disk that it shares with who asks."""


def copy_object(task: CopyTask) -> LocalFile:
    """Return the copy of an object; raises what `ObjectCopies.hold` does."""
    return _read_object(store_of_process(), task.wanted, task.target)


class ObjectCopies:
    """Copies in one folder, each made once for all who need it at the same time."""

    def __init__(
        self,
        folder: Path,
        store: ObjectStore | None = None,
        *,
        kept: int | None = None,
        copy: Callable[[CopyTask], Awaitable[LocalFile]] | None = None,
    ) -> None:
        """*folder*: theirs alone, made when there is something to copy. *kept*: bytes, instead of KEPT.

        *copy*: has `copy_object` done by another process; without it this one reads from *store*.
        """
        self._folder = folder
        self._copied = 0
        self._store = RemoteStore() if store is None else store
        self._kept = KEPT if kept is None else kept
        self._held: dict[ObjectFile, _Copy] = {}
        self._unused: dict[ObjectFile, _Copy] = {}
        """Copies that are kept, those used last at the end."""
        self._unused_bytes = 0
        self._threads = CapacityLimiter(AT_ONCE)
        self._have_copied = self._copy_here if copy is None else copy

    @asynccontextmanager
    async def hold(self, files: Mapping[Key, RowFile]) -> AsyncIterator[dict[Key, LocalFile]]:
        """Give *files* as local ones; copies of objects stay while they are held.

        Raises ObjectGone where one is gone or has become another, ObjectsRefused where these credentials get
        nothing, NoAnswer where another try may work, OSError where the disk takes no copy.
        """
        objects = [file for file in files.values() if isinstance(file, ObjectFile)]
        if not objects:
            yield {name: file for name, file in files.items() if isinstance(file, LocalFile)}
            return
        try:
            for wanted in objects:
                self._take(wanted)
            yield {
                name: await self._copy(file) if isinstance(file, ObjectFile) else file
                for name, file in files.items()
            }
        finally:
            for wanted in objects:
                self._release(wanted)

    def remove_unused(self) -> None:
        """Give the room of copies that no work needs back: what is to be fetched goes before them."""
        while self._unused:
            self._remove_oldest()
        if not self._held:
            # What a run left that died belongs to no run.
            shutil.rmtree(self._folder, ignore_errors=True)

    def close(self) -> None:
        """Remove every copy, and those that a run left that died; none is held any more."""
        shutil.rmtree(self._folder, ignore_errors=True)
        self._unused.clear()
        self._unused_bytes = 0

    def _take(self, wanted: ObjectFile) -> None:
        if (kept := self._unused.pop(wanted, None)) is not None:
            self._unused_bytes -= _size_of(kept)
            self._held[wanted] = kept
        self._held.setdefault(wanted, _Copy()).users += 1

    def _release(self, wanted: ObjectFile) -> None:
        copy = self._held[wanted]
        copy.users -= 1
        if copy.users:
            return
        del self._held[wanted]
        if copy.local is None:
            return
        self._unused[wanted] = copy
        self._unused_bytes += _size_of(copy)
        while self._unused and self._unused_bytes > self._kept:
            self._remove_oldest()

    def _remove_oldest(self) -> None:
        oldest = self._unused.pop(next(iter(self._unused)))
        self._unused_bytes -= _size_of(oldest)
        _remove(oldest)

    async def _copy(self, wanted: ObjectFile) -> LocalFile:
        copy = self._held[wanted]
        async with copy.reading:
            if copy.local is None:
                copy.local = await self._read(wanted)
            return copy.local

    async def _read(self, wanted: ObjectFile) -> LocalFile:
        self._copied += 1
        # Its own name, which messages tell, in a folder of its own.
        target = self._folder / str(self._copied) / wanted.name[-_LONGEST:]
        try:
            return await self._have_copied(CopyTask(wanted, target))
        except BaseException:
            _unlink(target)
            raise

    async def _copy_here(self, task: CopyTask) -> LocalFile:
        return await to_thread.run_sync(
            _read_object, self._store, task.wanted, task.target, limiter=self._threads
        )


def _read_object(store: ObjectStore, wanted: ObjectFile, target: Path) -> LocalFile:
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("w+b") as file:
        store.read_object(wanted, file)
        file.flush()
        file.seek(0)
        digest = file_digest(file, "sha256")
        stamp = Stamp.of(os.fstat(file.fileno()))
    return LocalFile(target, stamp, digest.hexdigest())


def _size_of(copy: _Copy) -> int:
    return 0 if copy.local is None else copy.local.stamp.size


def _remove(copy: _Copy) -> None:
    if copy.local is not None:
        _unlink(copy.local.path)


def _unlink(target: Path) -> None:
    with suppress(OSError):
        target.unlink(missing_ok=True)
        target.parent.rmdir()
