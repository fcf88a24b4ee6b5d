"""Rows that were paid for, by the records of payments, and those that a manifest asks for."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from batchfill.domain.rows import Row
from batchfill.errors import LedgerError
from batchfill.filenames import key_of
from batchfill.ledger.payment_record import PAID, read_record
from batchfill.manifest.local_files import digest_file
from batchfill.session.identity import forsaken_folders
from batchfill.session.ingest import read_checked
from batchfill.storage.object_finder import open_finder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import Any

    from batchfill.catalog.model import Model
    from batchfill.manifest.manifest import Manifest
    from batchfill.settings.settings import Settings


def batch_folders(settings: Settings) -> list[Path]:
    """Return the batch folder and the others in which this manifest may have been run."""
    return [settings.folder, *forsaken_folders(settings)]


def paid_keys(folders: list[Path]) -> set[str]:
    """Return the rows that the records in *folders* name: all that is left where a ledger is gone."""
    return {key for folder in folders for key in _keys_in(folder / PAID)}


def asked_keys(manifest: Manifest, model: Model, settings: Settings, **reading: Any) -> Iterator[str]:
    """Yield the rows of *manifest*, each once, as settings with this *reading* have them read."""
    with open_finder() as finder:
        rows = read_checked(manifest, model, replace(settings, **reading), digest_file, finder.find_object)
        yield from (key_of(row.fingerprint, 1) for row in rows if isinstance(row, Row))


def _keys_in(record: Path) -> set[str]:
    with suppress(LedgerError):
        reading = read_record(record)
        return {payment.key for payment in reading.payments} if reading else set()
    return set()
