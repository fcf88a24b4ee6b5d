"""What the stages touch, given to them so that a test can put its own in place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from batchfill.catalog.model import Model
    from batchfill.ledger.ledger import Ledger
    from batchfill.providers.client import Service
    from batchfill.providers.downloads import OutputClient
    from batchfill.providers.rate_limiter import RateLimiter
    from batchfill.run.clock import Chance, Clock
    from batchfill.run.run_log import RunLog
    from batchfill.run.timings import Timings
    from batchfill.settings.settings import Settings
    from batchfill.storage.output_store import OutputStore
    from batchfill.workers.pool import Workers


@dataclass(frozen=True, slots=True, kw_only=True)
class FileContext:
    """What work on files takes, without the network."""

    model: Model
    ledger: Ledger
    store: OutputStore
    workers: Workers
    """For short work."""
    pixels: Workers
    """For work on pictures that takes its time."""
    log: RunLog
    timings: Timings


@dataclass(frozen=True, slots=True, kw_only=True)
class RunContext(FileContext):
    """Every effect of a stage goes through one of these."""

    settings: Settings
    service: Service
    outputs: OutputClient
    clock: Clock
    chance: Chance
    creates: RateLimiter
