"""One output is fetched from its address, written and decoded."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from batchfill.errors import BadPicture, OutputRefused, TransientError
from batchfill.images.codec.decode import inspect_output
from batchfill.images.codec.foreign import FOREIGN_SUFFIXES
from batchfill.providers.downloads import SignatureWanted
from batchfill.run.download.worker_fetch import ClusterFetcher
from batchfill.storage.downloaded import Downloaded

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from batchfill.domain.predictions import Output
    from batchfill.domain.rows import DownloadJob
    from batchfill.providers.downloads import Download
    from batchfill.run.context import RunContext
    from batchfill.storage.staged_file import StagedFile


class OutputFetcher:
    """Fetches outputs, with the token only where the base's own address wants it."""

    def __init__(self, context: RunContext) -> None:
        self._service = context.service
        self._outputs = context.outputs
        self._store = context.store
        self._cluster = ClusterFetcher(context)
        self.largest = 0
        """Bytes of the largest picture that was fetched."""

    async def fetch(self, one: DownloadJob, output: Output) -> Downloaded:
        """Return *output* of *one*, kept and decoded whole. Raises one of UNFETCHED."""
        found = await self._cluster.fetch(one, output)
        fetched = found if isinstance(found, Downloaded) else await self._fetch_here(output)
        if isinstance(found, Exception):
            # It is not the output's fault.
            self._cluster.rest(found)
        self.largest = max(self.largest, fetched.written.size)
        return fetched

    async def _fetch_here(self, output: Output) -> Downloaded:
        if self._service.redaction.given(output.url) is None:
            # An earlier run knew it; a fresh look at the prediction tells it again.
            raise TransientError("its address held a secret, and was not written down")
        try:
            return await self._download(output, self._outputs.fetch(output.url))
        except SignatureWanted as unsigned:
            try:
                return await self._download(output, self._service.fetch_own(output.url))
            except OutputRefused:
                # Not at the base's own address: the token stays away, and the refusal may pass.
                raise unsigned from None

    async def _download(self, output: Output, opening: AbstractAsyncContextManager[Download]) -> Downloaded:
        async with opening as download:
            written, seen = await self._store.write_staged(
                output.prediction_id, output.n, download.chunks(), inspect_output
            )
        if isinstance(seen, BadPicture):
            raise self._kept_aside(written, seen) from seen
        return Downloaded(replace(output, finished_with=None, finished_as=None), written, seen)

    def _kept_aside(self, written: StagedFile, seen: BadPicture) -> BadPicture:
        store, suffix = self._store, FOREIGN_SUFFIXES.get(seen.foreign or "", "")
        # Such bytes are mostly words, and a service may repeat in them what it was sent.
        place = store.keep_suspect(written, self._service.redaction.body, suffix=suffix)
        if seen.foreign is None:
            return BadPicture(f"the service sent no whole picture ({seen}); kept as {place}")
        said = f"the service sent a {seen.foreign} file, which is not opened here"
        return BadPicture(f"{said}. It was paid for, and is kept as {place}", foreign=seen.foreign)
