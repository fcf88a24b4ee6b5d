"""Files of finished rows that are gone or damaged, where --retry names them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from batchfill.ledger.location import LEDGER
from batchfill.ledger.reader import open_reader
from batchfill.run.placement import OutputPlacer
from batchfill.run.remote_outputs import fetch_back
from batchfill.storage.missing import NONE_MISSING, of_rows, summarize_lost
from batchfill.storage.placed_files import find_lost, open_files

if TYPE_CHECKING:
    from batchfill.run.context import RunContext
    from batchfill.storage.missing import Missing


async def find_missing(context: RunContext) -> Missing:
    """Return what the service is to be asked for again: what is lost here, and in no bucket."""
    settings = context.settings
    if not settings.fetch_missing:
        return NONE_MISSING
    await OutputPlacer(context).end_moves()
    with open_reader(settings.folder / LEDGER) as reader:
        collected = of_rows(reader.collected_files(), settings.ids)
        with open_files(settings.folder, settings.outputs, reader.remote_copy) as files:
            lost = await context.workers.do(partial(find_lost, files), collected)
    return summarize_lost(await fetch_back(context, lost))
