"""Whether local rows that do not say so are finished exactly: not in a batch that was begun before."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from batchfill.settings.settings import Settings

FACT, EXACT = "default_finish", "exact"
"""The fact of a ledger whose local rows are finished exactly by default. Older batches have none."""


def is_exact(metadata: Mapping[str, str]) -> bool:
    """Whether that is so for the batch of the ledger with this *metadata*; none: it is yet to begin.

    A batch that began with raw outputs does not get others in the middle.
    """
    return "started_at" not in metadata or metadata.get(FACT) == EXACT


def finish_facts(settings: Settings) -> dict[str, str]:
    """Return what the ledger is to remember, so that every start finishes alike."""
    return {FACT: EXACT} if settings.finished_by_default else {}
