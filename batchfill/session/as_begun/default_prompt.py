"""Whether a default prompt names columns, or is taken literally: as it was when the batch was begun."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from batchfill.errors import LedgerError
from batchfill.ledger.database import is_there
from batchfill.ledger.location import LEDGER
from batchfill.ledger.reader import open_reader
from batchfill.manifest.prompt_template import is_template
from batchfill.session.paid_keys import asked_keys, batch_folders, paid_keys

if TYPE_CHECKING:
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
    folders = batch_folders(settings)
    if any(_asks_for(folder / LEDGER, prompt) for folder in folders):
        return True
    paid = paid_keys(folders)
    return bool(paid) and any(
        key in paid for key in asked_keys(manifest, model, settings, literal_prompt=True)
    )


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
