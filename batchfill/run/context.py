"""What the stages of one run share: their effects, the signal to stop, and what they learn of the service."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from batchfill.domain.objects import ObjectFile

if TYPE_CHECKING:
    from collections.abc import Mapping

    from batchfill.catalog.model import Model
    from batchfill.clock import Chance, Clock
    from batchfill.domain.rows import RedoRule, RowFile
    from batchfill.ledger.ledger import Ledger
    from batchfill.providers.downloads import OutputClient
    from batchfill.providers.provider_protocol import Provider
    from batchfill.providers.rate_limiter import RateLimiter
    from batchfill.run.prediction_lookup import PredictionLookup
    from batchfill.run.read_refusals import ReadRefusals
    from batchfill.run.run_times import RunTimes
    from batchfill.run.shutdown import StopSignal
    from batchfill.settings.settings import Settings
    from batchfill.settings.timings import Timings
    from batchfill.storage.object_copies import ObjectCopies
    from batchfill.storage.output_store import OutputStore
    from batchfill.storage.placed_outputs import PlacedOutputs
    from batchfill.storage.run_log import RunLog
    from batchfill.workers.cluster_workers import ClusterWorkers
    from batchfill.workers.pool import Workers


@dataclass(frozen=True, slots=True, kw_only=True)
class FileContext:
    """What work on files takes, without the service."""

    model: Model
    ledger: Ledger
    placed: PlacedOutputs
    copies: ObjectCopies
    """Of the objects that rows name."""
    workers: Workers
    """For short work."""
    pixels: Workers
    """For work on pictures that takes its time."""
    log: RunLog
    timings: Timings
    cluster: ClusterWorkers | None = None
    """None: this machine does all the work."""

    @property
    def store(self) -> OutputStore:
        """The files of the batch folder itself."""
        return self.placed.store

    @property
    def redo_rule(self) -> RedoRule | None:
        """Which rows are made again by themselves: none without a run."""
        return None

    def cluster_for(self, files: Mapping[str, RowFile]) -> ClusterWorkers | None:
        """Return the cluster that works on a row of *files*; None: this machine does.

        Workers elsewhere see buckets, and no file of this machine.
        """
        return self.cluster if all(isinstance(file, ObjectFile) for file in files.values()) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunContext(FileContext):
    """Every effect of a stage goes through one of these."""

    settings: Settings
    stopping: StopSignal
    run_times: RunTimes
    service: Provider
    lookup: PredictionLookup
    refusals: ReadRefusals
    outputs: OutputClient
    clock: Clock
    chance: Chance
    creates: RateLimiter
    began: float = 0.0
    """When the run did; seconds since the epoch."""

    @property
    def redo_rule(self) -> RedoRule | None:
        """Which rows are made again by themselves: none once nothing is submitted any more."""
        rule = self.settings.redo_rule
        return None if rule is None or self.stopping.because is not None else rule._replace(since=self.began)

    def fail_row(self, id_: str, reason: str) -> None:
        """Tell that a row has failed for good; the tenth alike in a row ends submitting."""
        self.log.row_failed(id_, reason)
        self.stopping.record_failure(reason)
