"""Whether the cluster of --cluster can be used by a batch, found out before anything is paid for."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from batchfill.domain.progress import Level
from batchfill.domain.rows import OPEN, RowState
from batchfill.errors import UsageError, first_few
from batchfill.settings.addresses import refuse_plain_cluster
from batchfill.storage.remote_store import AtServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from batchfill.run.context import RunContext
    from batchfill.settings.settings import Settings
    from batchfill.settings.timings import Timings
    from batchfill.storage.run_log import RunLog
    from batchfill.workers.cluster_workers import ClusterWorkers
    from batchfill.workers.pool import Workers

NO_WORK = (
    "the cluster gets no work: its workers see no file of this machine. It makes pictures of buckets ready "
    "with --hand-over bucket, and finishes them with --outputs"
)


def refuse_open_cluster(settings: Settings) -> None:
    """Raise UsageError where tasks would go elsewhere in the clear, and the user did not allow it."""
    if settings.cluster is None:
        return
    try:
        refuse_plain_cluster(settings.cluster, allowed=settings.plain_cluster)
    except ValueError as error:
        raise UsageError(f"--cluster: {error}") from None


@asynccontextmanager
async def cluster_of(
    settings: Settings, own: Workers, log: RunLog, timings: Timings
) -> AsyncIterator[ClusterWorkers | None]:
    """Give the cluster of a batch; None: it has none, or none that would have anything to do.

    Raises UsageError without the extra, and for certificates that cannot be used.
    """
    if settings.cluster is None:
        yield None
        return
    if settings.hand_over != "bucket" and settings.outputs is None:
        log.notice(NO_WORK, Level.WARNING)
        yield None
        return
    from batchfill.workers.cluster_workers import open_cluster  # a library that takes a second to be loaded

    def say(text: str) -> None:
        log.notice(text, Level.WARNING)

    def abroad(work: Callable[[Any], Any]) -> Callable[[Any], Any]:
        # What the batch says of its buckets counts wherever it is worked on.
        return work if settings.s3_endpoint is None else AtServer(work, settings.s3_endpoint)

    wait = settings.worker_wait
    async with open_cluster(settings.cluster, own, say, timings, wait=wait, abroad=abroad) as cluster:
        yield cluster


def ask_for_cluster(context: RunContext) -> None:
    """Refuse workers with other software than this machine's: what they make would be other pictures.

    Raises UsageError. While predictions run, or may run, that only ends submitting.
    """
    cluster = context.cluster
    if cluster is None or not cluster.unfit:
        return
    refused = f"--cluster: workers that get no task: {first_few(cluster.unfit)}"
    if not any(context.ledger.in_state(state) for state in (*OPEN, RowState.IN_DOUBT)):
        raise UsageError(f"{refused}; start them in an environment like this one, or end them")
    context.stopping.stop_submitting(refused)
