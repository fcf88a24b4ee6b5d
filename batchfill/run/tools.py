"""What the stages touch, given to them so that a test can put its own in place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from batchfill.api.client import Service
    from batchfill.api.outputs import Outputs
    from batchfill.api.pace import Pace
    from batchfill.catalog import Model
    from batchfill.ledger.ledger import Ledger
    from batchfill.run.clock import Chance, Clock
    from batchfill.run.shelf import Shelf
    from batchfill.run.telling import Telling
    from batchfill.run.workers import Workers
    from batchfill.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """What work on files takes, without the network."""

    model: Model
    ledger: Ledger
    shelf: Shelf
    workers: Workers
    """For short work."""
    pixels: Workers
    """For work on pictures that takes its time."""
    telling: Telling


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools(Bench):
    """Every effect of a stage goes through one of these."""

    settings: Settings
    service: Service
    outputs: Outputs
    clock: Clock
    chance: Chance
    creates: Pace
