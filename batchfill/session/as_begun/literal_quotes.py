"""Whether quotes behind a space belong to a cell's text: as they did when the batch was begun."""

from __future__ import annotations

from typing import TYPE_CHECKING

from batchfill.session.paid_keys import asked_keys, batch_folders, paid_keys

if TYPE_CHECKING:
    from collections.abc import Mapping

    from batchfill.catalog.model import Model
    from batchfill.manifest.manifest import Manifest
    from batchfill.settings.settings import Settings

FACT, CLOSED = "csv_gaps", "closed"
"""The fact of a ledger whose rows were read without the spaces around quotes. Older batches have none."""


def are_literal(manifest: Manifest, model: Model, settings: Settings, metadata: Mapping[str, str]) -> bool:
    """Whether such quotes are in the rows of the ledger with this *metadata*.

    Where there is none, in those of the manifest that were paid for. Read otherwise, they would be other
    rows, to be paid for once more.
    """
    if "started_at" in metadata:
        return metadata.get(FACT) != CLOSED
    if manifest.rows_kind != "csv" or not (paid := paid_keys(batch_folders(settings))):
        return False
    as_text, closed = (
        {
            key
            for prompt in (False, True)
            for key in asked_keys(manifest, model, settings, literal_quotes=quotes, literal_prompt=prompt)
            if key in paid
        }
        for quotes in (True, False)
    )
    # Most rows are the same in either way.
    return len(as_text) > len(closed)


def quote_facts(settings: Settings) -> dict[str, str]:
    """Return what the ledger is to remember, so that every start reads the rows alike."""
    return {} if settings.literal_quotes else {FACT: CLOSED}
