"""Pictures and masks at addresses, fetched to be looked at and removed again."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import anyio

from batchfill.errors import (
    NoAnswer,
    NotFetched,
    NotFound,
    ObjectGone,
    ObjectsRefused,
    OutputRefused,
    TransientError,
)
from batchfill.providers.connection import open_outputs
from batchfill.providers.downloads import SignatureWanted, shown_url
from batchfill.storage.object_copies import OBJECTS, ObjectCopies

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from batchfill.domain.objects import ObjectFile
    from batchfill.providers.downloads import OutputClient

AT_ONCE = 4
"""Rows whose files are fetched, or on the disk, at the same time."""


class Remote:
    """Fetches what rows name by address, a few rows at a time."""

    def __init__(self, outputs: OutputClient, folder: Path) -> None:
        self._outputs = outputs
        self._folder = folder
        self._copies = ObjectCopies(folder / OBJECTS)
        self._turn = anyio.Semaphore(AT_ONCE)
        self._numbers = count()

    @asynccontextmanager
    async def open_files(self, places: Sequence[str | ObjectFile]) -> AsyncIterator[list[Path | NotFetched]]:
        """Give for each place a file with what is there, or why there is none; removed in the end."""
        async with self._turn, AsyncExitStack() as files:
            yield [
                await self._fetch_file(place, files)
                if isinstance(place, str)
                else await self._copy_object(place, files)
                for place in places
            ]

    async def _copy_object(self, wanted: ObjectFile, files: AsyncExitStack) -> Path | NotFetched:
        try:
            local = await files.enter_async_context(self._copies.hold({wanted.address: wanted}))
        except (ObjectGone, ObjectsRefused, NoAnswer) as error:
            return NotFetched(str(error))
        except OSError as error:
            return NotFetched(f"{wanted.address} cannot be kept to be looked at: {error.strerror}")
        return local[wanted.address].path

    async def _fetch_file(self, address: str, files: AsyncExitStack) -> Path | NotFetched:
        path = self._folder / str(next(self._numbers))
        files.callback(path.unlink, missing_ok=True)
        try:
            await self._write_output(address, path)
        except (OutputRefused, NotFound, SignatureWanted, TransientError) as error:
            return NotFetched(f"{shown_url(address)} cannot be looked at: {error}")
        except OSError as error:
            return NotFetched(f"{shown_url(address)} cannot be kept to be looked at: {error.strerror}")
        return path

    async def _write_output(self, address: str, path: Path) -> None:
        async with self._outputs.fetch(address) as download, await anyio.open_file(path, "wb") as file:
            async for chunk in download.chunks():
                await file.write(chunk)


@asynccontextmanager
async def remote_files(base: str) -> AsyncIterator[Remote]:
    """Open the way to what rows name by address, with no token; *base*: the provider's, or `local`."""
    folder = Path(tempfile.mkdtemp(prefix="batchfill-"))
    try:
        async with open_outputs(base) as outputs:
            yield Remote(outputs, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
