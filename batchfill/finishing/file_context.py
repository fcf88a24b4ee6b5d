"""What work on the files of a batch takes, without the service."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from batchfill.domain.objects import ObjectFile

if TYPE_CHECKING:
    from collections.abc import Mapping

    from batchfill.catalog.model import Model
    from batchfill.domain.rows import RedoRule, RowFile
    from batchfill.ledger.ledger import Ledger
    from batchfill.settings.timings import Timings
    from batchfill.storage.object_copies import ObjectCopies
    from batchfill.storage.output_store import OutputStore
    from batchfill.storage.placed_outputs import PlacedOutputs
    from batchfill.storage.run_log import RunLog
    from batchfill.workers.cluster_workers import ClusterWorkers
    from batchfill.workers.pool import Workers


@dataclass(frozen=True, slots=True, kw_only=True)
class FileContext:
    """The files of a batch, and who works on them."""

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
