"""Whether quotes behind a space belong to a cell's text: as they did when the batch was begun."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from batchfill.settings.settings import Settings

FACT, CLOSED = "csv_gaps", "closed"
"""The fact of a ledger whose rows were read without the spaces around quotes. Older batches have none."""


def are_literal(metadata: Mapping[str, str]) -> bool:
    """Whether the rows of the ledger with this *metadata* hold such quotes; False where there is no ledger.

    Read otherwise, they would be other rows, to be paid for once more.
    """
    return "started_at" in metadata and metadata.get(FACT) != CLOSED


def quote_facts(settings: Settings) -> dict[str, str]:
    """Return what the ledger is to remember, so that every start reads the rows alike."""
    return {} if settings.literal_quotes else {FACT: CLOSED}
