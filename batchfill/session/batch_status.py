"""State of a batch."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from batchfill.domain.money import CURRENCY
from batchfill.domain.provider_facts import REPLICATE_API
from batchfill.domain.reports import Status
from batchfill.domain.resends import MARGIN, is_key_known
from batchfill.settings.addresses import LOCAL
from batchfill.settings.resolve import IDEMPOTENT
from batchfill.storage import lock

if TYPE_CHECKING:
    from pathlib import Path

    from batchfill.domain.reports import Doubt
    from batchfill.ledger.reader import Reader


def read_status(reader: Reader, manifest: Path, folder: Path) -> Status:
    """Return where the batch of *reader* stands, whether it runs or not."""
    facts, doubts = reader.metadata(), reader.doubts()
    if facts.get(IDEMPOTENT) is not None:
        doubts = tuple(_with_resend(doubt, time.time()) for doubt in doubts)
    return Status(
        manifest=facts.get("manifest", manifest.name),
        model=facts.get("model", ""),
        base=facts.get("base", ""),
        running=lock.is_held(folder),
        counts=reader.counts(),
        gone=reader.counts(gone=True),
        cost=replace(reader.cost(CURRENCY), rehearsal=facts.get("base") == LOCAL),
        started_at=_read_time(facts.get("started_at")),
        updated_at=_read_time(facts.get("updated_at")),
        stopped_because=facts.get("stopped_because"),
        reasons=reader.reasons(),
        doubts=doubts,
        failed_made=reader.failed_made(),
    )


def _with_resend(doubt: Doubt, now: float) -> Doubt:
    """Return *doubt* with the time until which a start sends it again, at a provider that honours keys."""
    kept = REPLICATE_API.keys_kept
    resent = doubt.keyed and is_key_known(now - doubt.intended_at, kept)
    return replace(doubt, resent_until=doubt.intended_at + kept - MARGIN) if resent else doubt


def _read_time(fact: str | None) -> float | None:
    return None if fact is None else float(fact)
