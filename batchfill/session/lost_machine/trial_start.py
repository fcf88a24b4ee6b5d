"""What would end a start that takes a batch over, found before the run that has the batch is shut out."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from batchfill.catalog.model_choice import choose_model, refuse_cap_without_price
from batchfill.domain.rows import LocalFile, Stamp
from batchfill.ledger.digests import Digests
from batchfill.ledger.import_rows import open_scratch
from batchfill.regular_files import open_regular
from batchfill.session.batch_ledger import read_metadata
from batchfill.session.identity import refuse_other_batch
from batchfill.session.ingest import ingest_rows
from batchfill.storage.object_finder import open_finder

if TYPE_CHECKING:
    from pathlib import Path

    from batchfill.manifest.manifest import Manifest
    from batchfill.session.batch_settings import BatchSettings
    from batchfill.settings.settings import Settings

UNREAD = "0" * 64
"""The digest of a file of which only the stamp is looked at."""


async def try_start(source: BatchSettings, begun: Path) -> Settings:
    """Return the settings of a start of *source* that would go on with the ledger in *begun*.

    Raises UsageError where it would not begin. No service is asked, nothing is written, and of pictures only
    the headers are read.
    """
    manifest, settings = replace(source, begun=begun).read()
    refuse_cap_without_price(settings, choose_model(settings))
    refuse_other_batch(read_metadata(begun), settings)
    await _refuse_bad_rows(manifest, settings, begun / "none")
    return settings


async def _refuse_bad_rows(manifest: Manifest, settings: Settings, nowhere: Path) -> None:
    model, digests = choose_model(settings), Digests(None, _stamped, time.time)
    async with open_scratch(nowhere) as intake:
        with open_finder() as finder:
            reading = await ingest_rows(intake, manifest, model, settings, digests, finder.find_object)
    reading.refuse_mistakes(skip_bad=settings.skip_bad)


def _stamped(path: Path) -> LocalFile:
    with open_regular(path) as file:
        return LocalFile(path, Stamp.of(os.fstat(file.fileno())), UNREAD)
