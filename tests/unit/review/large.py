"""A batch of many rows in a folder, nearly all of them done without having been made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from batchfill.batch import Batch
from batchfill.emulator.emulator_server import EmulatorServer
from batchfill.ledger.location import LEDGER
from tests.bench.finished import finish

if TYPE_CHECKING:
    from pathlib import Path


async def large(desk: Any, folder: Path, rows: int) -> Batch:
    """Write so many rows to the *desk*, make the first and call the others done."""
    provider = EmulatorServer(folder / "provider", token="t", tiny=True)
    await provider.start()
    try:
        night = Batch.open(
            desk.write(desk.rows(rows)), environ={"BATCHFILL_TOKEN": "t"}, base_url=provider.base, limit=1
        )
        await night.run()
    finally:
        await provider.stop()
    finish(night.folder / LEDGER, rows)
    return night
