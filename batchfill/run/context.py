"""What the stages of one run share: their effects, the signal to stop, and what they learn of the service."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from batchfill.finishing.file_context import FileContext

if TYPE_CHECKING:
    from batchfill.clock import Chance, Clock
    from batchfill.domain.rows import RedoRule
    from batchfill.providers.downloads import OutputClient
    from batchfill.providers.provider_protocol import Provider
    from batchfill.providers.rate_limiter import RateLimiter
    from batchfill.run.prediction_lookup import PredictionLookup
    from batchfill.run.read_refusals import ReadRefusals
    from batchfill.run.run_times import RunTimes
    from batchfill.run.shutdown import StopSignal
    from batchfill.settings.settings import Settings


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
