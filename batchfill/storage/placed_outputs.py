"""Outputs in their places: in the bucket of --outputs where there is one, and here while work needs them."""

from __future__ import annotations

from collections import Counter
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

from anyio import CapacityLimiter, to_thread

from batchfill.errors import NoAnswer, ObjectsRefused
from batchfill.storage.made_files import LeftOutput, PlacedObject, fetch_left, fetch_placed
from batchfill.storage.output_store import stem_of
from batchfill.storage.remote_files import RemoteTask, fetch_file

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection, Iterable
    from pathlib import Path

    from batchfill.domain.predictions import Output
    from batchfill.storage.output_store import OutputStore
    from batchfill.storage.staged_file import StagedFile

KEPT = 1 << 29
"""Bytes of copies that stay here once the bucket has the files: soon they are finished and judged."""
AT_ONCE = 8
"""Files that are put or fetched at the same time; one that is put is in memory while it is."""


class PlacedOutputs:
    """Files that the ledger knows the places of. Where a bucket has them, what is here are copies."""

    def __init__(self, store: OutputStore, root: str | None, *, kept: int | None = None) -> None:
        """*root*: the address of --outputs; None: the files are here. *kept*: bytes, instead of KEPT."""
        self.root = root
        self.store = store
        self._kept = KEPT if kept is None else kept
        self._copies: dict[str, tuple[str, int]] = {}
        """Files that the bucket has, too, as it said in this run: SHA-256 and bytes, the oldest first."""
        self._bytes = 0
        self._users = Counter[str]()
        self.threads = CapacityLimiter(AT_ONCE)

    async def find_kept(self, output: Output) -> StagedFile | None:
        """Return the file that *output* is kept in as it came, if it has stayed as it was.

        Raises as `fetch` does.
        """
        return await self._find(output.raw, output.raw_sha256)

    async def find_placed(self, output: Output) -> StagedFile | None:
        """Return the file of *output*, if it has stayed as it was. Raises as `fetch` does."""
        return await self._find(output.file, output.sha256)

    async def find_planned(self, output: Output) -> StagedFile | None:
        """Return the file that was to be the one of *output*, where the bucket alone has it.

        Raises StorageError and OSError where the disk takes nothing, NoAnswer where another try may tell.
        """
        if self.root is None or output.planned is None or output.sha256 is None:
            return None
        try:
            return await self._find(output.planned, output.sha256)
        except ObjectsRefused as error:
            raise NoAnswer(str(error)) from None

    async def find_left(self, output: Output) -> StagedFile | None:
        """Return a copy of *output* where a worker left it in the bucket, and no run heard of that.

        Raises as `find_planned`.
        """
        if self.root is None:
            return None
        order = LeftOutput(self.root, stem_of(output.prediction_id, output.n), self.store.spare_path())
        try:
            return await to_thread.run_sync(fetch_left, order, limiter=self.threads)
        except ObjectsRefused as error:
            raise NoAnswer(str(error)) from None

    async def bring_here(self, outputs: Iterable[Output]) -> None:
        """Have copies of *outputs* here, as they came where they are kept so. Raises as `fetch` does."""
        for output in outputs:
            if output.raw is not None:
                await self._bring(output.raw, output.raw_sha256)
            elif output.file is not None:
                await self._bring(output.file, output.sha256)

    async def _find(self, file: str | None, sha256: str | None) -> StagedFile | None:
        if file is None or sha256 is None:
            return None
        await self._bring(file, sha256)
        return await self.store.find_file(file, sha256)

    async def _bring(self, file: str, sha256: str | None) -> None:
        # What is here in its place may be the user's own work on it.
        if self.root is None or sha256 is None or self.store.is_here(file):
            return
        if (copy := await self.fetch(file, sha256)) is not None:
            await self.note_copy(file, sha256, copy.size)

    async def fetch(self, file: str, sha256: str) -> StagedFile | None:
        """Put a copy of *file* in its place here: from its place in the bucket, or from where it waits there.

        None: it is in neither, or has another content. Raises StorageError and OSError where the disk takes
        nothing, ObjectsRefused and NoAnswer as every call of a storage.
        """
        assert self.root is not None
        return await self._read(partial(fetch_placed, PlacedObject(self.root, file, sha256)), file)

    async def fetch_from(self, address: str, file: str, sha256: str) -> StagedFile | None:
        """Put a copy of the object at *address* alone in the place of *file* here; see `fetch`."""
        return await self._read(lambda path: fetch_file(RemoteTask(address, path, sha256)), file)

    async def _read(self, read: Callable[[Path], StagedFile | None], file: str) -> StagedFile | None:
        copy = await to_thread.run_sync(read, self.store.spare_path(), limiter=self.threads)
        if copy is not None:
            await self.store.commit(copy, file)
        return copy

    @asynccontextmanager
    async def using(self, outputs: Collection[Output]) -> AsyncIterator[None]:
        """Keep the copies of *outputs* here that are, or come here meanwhile."""
        names = [name for output in outputs for name in (output.raw, output.file) if name is not None]
        self._users.update(names)
        try:
            yield
        finally:
            self._users -= Counter(names)

    async def note_copy(self, file: str, sha256: str, size: int) -> None:
        """The bucket has *file*: what is here is a copy, which goes when others need its room."""
        self._forget(file)
        self._copies[file] = sha256, size
        self._bytes += size
        await self.remove_beyond()

    async def remove_beyond(self) -> None:
        """Remove copies that no work needs and that have no room."""
        await self.remove_copies(self._kept)

    def keep_none(self) -> None:
        """Give the room of copies back from now on: what is to be fetched goes before them."""
        self._kept = 0

    async def remove_copies(self, most: int = 0) -> None:
        """Remove copies that no work needs, the oldest first, until *most* bytes of them are left."""
        for file in [*self._copies]:
            if self._bytes <= most:
                return
            if not self._users[file] and (sha256 := self._forget(file)) is not None:
                await self.store.remove_file(file, sha256)

    def _forget(self, file: str) -> str | None:
        sha256, size = self._copies.pop(file, (None, 0))
        self._bytes -= size
        return sha256
