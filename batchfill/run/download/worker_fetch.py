"""Outputs that workers of a cluster fetch into the bucket: no byte of them comes to this machine.

What a worker cannot fetch, this machine fetches at once. Whether an output is a whole picture, or is there at
all, its own fetch alone decides.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, NamedTuple

import anyio

from batchfill.domain.duration import format_duration
from batchfill.domain.progress import Level
from batchfill.errors import BadPicture, BatchfillError
from batchfill.images.codec.decode import inspect_output
from batchfill.providers.downloads import OutputClient
from batchfill.providers.transport import Transport
from batchfill.storage.downloaded import Downloaded
from batchfill.storage.made_files import leave_file
from batchfill.storage.output_store import OutputStore, stem_of
from batchfill.systems import here

if TYPE_CHECKING:
    from batchfill.domain.predictions import Output, Picture
    from batchfill.domain.rows import DownloadJob
    from batchfill.providers.downloads import OutputPolicy
    from batchfill.run.context import RunContext
    from batchfill.storage.made_files import MadeFile
    from batchfill.storage.staged_file import StagedFile
    from batchfill.workers.cluster_workers import ClusterWorkers

EARLY = 0.25
"""Of the time for which the service keeps an output: later this machine fetches it without asking others."""


@dataclass(frozen=True, slots=True)
class FetchTask:
    """An output, to be fetched by any machine. It holds no token; may run twice."""

    url: str = field(repr=False)
    """It may be signed: who knows it can read the picture."""
    policy: OutputPolicy
    network: str | None
    """That of the run: what is near there may be another host's address elsewhere."""
    root: str
    """The address of --outputs."""
    prediction_id: str
    n: int


class FetchedOutput(NamedTuple):
    """A whole output in the bucket."""

    file: MadeFile
    picture: Picture


def fetch_to_bucket(task: FetchTask) -> FetchedOutput:
    """Fetch the output of *task* as the run would, and leave it in the bucket.

    Raises BadPicture, OSError, and what `OutputClient.fetch` and every call of a storage raise.
    """
    with TemporaryDirectory(prefix="batchfill-") as folder:
        written, picture = anyio.run(_download, task, OutputStore(Path(folder)))
        name = f"{stem_of(task.prediction_id, task.n)}{picture.suffix}"
        return FetchedOutput(leave_file(task.root, written, name), picture)


async def _download(task: FetchTask, store: OutputStore) -> tuple[StagedFile, Picture]:
    is_near = task.network is not None and task.network == here().network()
    policy = task.policy if is_near else task.policy.elsewhere()
    transport = Transport(public_only=not policy.allow_private)
    try:
        async with OutputClient(transport, policy).fetch(task.url) as download:
            written, seen = await store.write_staged(
                task.prediction_id, task.n, download.chunks(), inspect_output
            )
    finally:
        await transport.aclose()
    if isinstance(seen, BadPicture):
        raise seen
    return written, seen


class ClusterFetcher:
    """Has the workers of a cluster fetch outputs, unless a while ago they could not."""

    def __init__(self, context: RunContext) -> None:
        self._context = context
        self._rests_until = 0.0
        self._told = False

    async def fetch(self, one: DownloadJob, output: Output) -> Downloaded | Exception | None:
        """Return *output* of *one*, in the bucket; why no worker could fetch it; None: none was asked."""
        context, root = self._context, self._context.placed.root
        if root is None or (workers := self._workers_for(one, output)) is None:
            return None
        # The token stays here: a worker does not see it in an address.
        policy = replace(context.outputs.policy, token_known=False)
        task = FetchTask(output.url, policy, here().network(), root, output.prediction_id, output.n)
        found = await workers.offer(fetch_to_bucket, task, within=context.timings.cluster_fetch)
        if isinstance(found, Exception):
            return found
        return Downloaded(replace(output, finished_with=None, finished_as=None), found.file, found.picture)

    def rest(self, error: Exception) -> None:
        """Ask none for a while: what failed with *error* elsewhere was fetched here."""
        context, pause = self._context, self._context.timings.cluster_fetch_pause
        self._rests_until = anyio.current_time() + pause
        # Words that are not ours may hold the address.
        why = str(error) if isinstance(error, BatchfillError) else type(error).__name__
        said = f"a worker of the cluster could not fetch an output, and this machine could: {why}"
        level = Level.DEBUG if self._told else Level.WARNING
        context.log.notice(f"{said}; this machine fetches them for {format_duration(pause)}", level)
        self._told = True

    def _workers_for(self, one: DownloadJob, output: Output) -> ClusterWorkers | None:
        """Return the workers that may fetch *output*; None: this machine has to.

        An address that held the token, or a signature of the run's, is known to this process alone.
        """
        context, attempt = self._context, one.attempt
        workers = context.cluster_for(one.asked.files)
        if workers is None or not workers.window or anyio.current_time() < self._rests_until:
            return None
        early_until = (attempt.ended_at or attempt.intended_at) + EARLY * context.service.facts.outputs_kept
        is_open = context.service.redaction.given(output.url) == output.url
        is_fit = is_open and output.url.lower().startswith(("https:", "http:"))
        return workers if is_fit and context.clock.now() <= early_until else None
