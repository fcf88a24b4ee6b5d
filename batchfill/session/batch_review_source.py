"""A batch as the review page reads it: the ledger, and the decisions that a run is yet to take."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from anyio import to_thread

from batchfill.session.batch_status import read_status
from batchfill.storage import inbox, lock
from batchfill.storage.decision_inbox import post_decisions, refused_decisions

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from batchfill.domain.reports import EndedAttempt, ReviewRow, Status
    from batchfill.domain.review import ReviewDecision
    from batchfill.ledger.reader import Reader


@dataclass(frozen=True, slots=True)
class BatchReviewSource:
    """What the review page asks of a batch."""

    manifest: Path
    folder: Path
    reader: Reader

    def mark(self) -> object:
        """Return something that stays equal as long as nothing of the batch changes."""
        return self.reader.data_version(), lock.is_held(self.folder), inbox.rulings_waiting(self.folder)

    def status(self) -> Status:
        """Return the state of the batch."""
        return read_status(self.reader, self.manifest, self.folder)

    def review_rows(self) -> Iterator[ReviewRow]:
        """Yield every row of the manifest, in its order, with the decisions that a run is yet to take."""
        # In one moment, so that no decision is put over a later one that the run takes meanwhile.
        with self.reader.hold_snapshot():
            waiting = inbox.waiting_rulings(self.folder, taken=self.reader.letters_taken)
            last = {ruling.prediction_id: ruling for ruling in waiting}
            for exhibit in self.reader.review_rows():
                ruling = last.get(exhibit.result.prediction_id or "")
                yield exhibit if ruling is None else _decided(exhibit, ruling)

    def history(self) -> Iterator[EndedAttempt]:
        """Yield every attempt that came to an end, in the order of the ends."""
        return self.reader.history()

    async def decide(self, rulings: Sequence[ReviewDecision]) -> dict[int, str]:
        """Return once *rulings* are on disk, but for those refused: by place, why. Raises UsageError."""
        refused = await to_thread.run_sync(refused_decisions, self.folder, rulings)
        accepted = [ruling for place, ruling in enumerate(rulings) if place not in refused]
        if accepted:
            await post_decisions(self.folder, accepted)
        return refused


def _decided(exhibit: ReviewRow, ruling: ReviewDecision) -> ReviewRow:
    result = replace(exhibit.result, decision=ruling.decision, chosen=ruling.chosen)
    return replace(exhibit, result=result, redo_prompt=ruling.prompt, redo_seed=ruling.seed)
