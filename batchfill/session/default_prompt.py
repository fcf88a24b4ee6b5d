"""Whether a default prompt names columns, or is taken literally: as it was when the batch was begun."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from batchfill.domain.rows import Row
from batchfill.errors import LedgerError
from batchfill.filenames import key_of
from batchfill.ledger.database import is_there
from batchfill.ledger.location import LEDGER
from batchfill.ledger.payment_record import PAID, read_record
from batchfill.ledger.reader import open_reader
from batchfill.manifest.local_files import digest_file
from batchfill.manifest.prompt_template import is_template
from batchfill.session.identity import forsaken_folders
from batchfill.session.ingest import read_checked

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from batchfill.catalog.model import Model
    from batchfill.manifest.manifest import Manifest
    from batchfill.settings.settings import Settings

FACT, FILLED = "default_prompt", "filled"
"""The fact of a ledger whose default prompts name columns. Older batches have none."""

WARNING = "the default prompt is sent as it stands, as when this batch was begun: edited, it names columns"


def is_literal(manifest: Manifest, model: Model, settings: Settings) -> bool:
    """Whether the default prompt is one that rows were asked for with, letter by letter.

    Filled in, it would make other rows of them, to be paid for once more.
    """
    prompt = settings.defaults.get(model.prompt_field or "", "")
    if not is_template(prompt) or _is_filled(settings.folder / LEDGER):
        return False
    folders = [settings.folder, *forsaken_folders(settings)]
    if any(_asks_for(folder / LEDGER, prompt) for folder in folders):
        return True
    paid = {key for folder in folders for key in _keys_in(folder / PAID)}
    return bool(paid) and any(key in paid for key in _literal_keys(manifest, model, settings))


def default_prompt_warnings(settings: Settings) -> list[str]:
    """Return what a user should know of the default prompt."""
    return [WARNING] if settings.literal_prompt else []


def prompt_facts(settings: Settings) -> dict[str, str]:
    """Return what the ledger is to remember, so that no edit makes a default prompt literal again."""
    return {} if settings.literal_prompt else {FACT: FILLED}


def _is_filled(ledger: Path) -> bool:
    if not is_there(ledger):
        return False
    with open_reader(ledger) as reader:
        return reader.metadata().get(FACT) == FILLED


def _asks_for(ledger: Path, prompt: str) -> bool:
    with suppress(LedgerError):  # of another folder; this one's was read before
        if is_there(ledger):
            with open_reader(ledger) as reader:
                return reader.asks_for(prompt)
    return False


def _keys_in(record: Path) -> set[str]:
    """Return the rows that a record of payments names: all that is left where the ledger is gone."""
    with suppress(LedgerError):
        reading = read_record(record)
        return {payment.key for payment in reading.payments} if reading else set()
    return set()


def _literal_keys(manifest: Manifest, model: Model, settings: Settings) -> Iterable[str]:
    rows = read_checked(manifest, model, replace(settings, literal_prompt=True), digest_file)
    return (key_of(row.fingerprint, 1) for row in rows if isinstance(row, Row))
