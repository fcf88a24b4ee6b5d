"""A batch as the review page reads it: the ledger, and the decisions that a run is yet to take."""

from __future__ import annotations

import time
from contextlib import AsyncExitStack, asynccontextmanager, closing, contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from anyio import to_thread

from batchfill.domain.objects import object_of_content
from batchfill.domain.rows import HeldFile
from batchfill.errors import BadPicture, NoAnswer, ObjectGone, ObjectsRefused
from batchfill.session.batch_ledger import open_batch_ledger
from batchfill.session.batch_status import read_status
from batchfill.session.reviewed.decision_check import refused_decisions
from batchfill.session.reviewed.recent_moves import RecentMoves
from batchfill.settings.resolve import folder_of
from batchfill.storage import inbox, lock
from batchfill.storage.decision_inbox import post_decisions
from batchfill.storage.made_files import PlacedObject, addresses_of
from batchfill.storage.object_copies import REVIEWED, ObjectCopies
from batchfill.storage.output_store import OUTPUTS
from batchfill.workers.pool import Processes

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence

    from batchfill.domain.objects import ObjectFile
    from batchfill.domain.reports import EndedAttempt, ReviewRow, RowWords, Status
    from batchfill.domain.review import ReviewDecision
    from batchfill.domain.rows import LocalFile
    from batchfill.ledger.reader import Reader


SLICE = 1000
"""Rows that are read at once."""


class BatchReviewSource:
    """What the review page asks of a batch."""

    def __init__(self, manifest: Path, folder: Path, reader: Reader, copies: ObjectCopies) -> None:
        self.manifest, self.folder, self.reader = manifest, folder, reader
        self._copies = copies
        self._root = reader.metadata().get("outputs")
        self._moves = RecentMoves(reader, time.time)
        self._decided: set[str] = set()
        """Predictions that were decided here, whose rows were not read after that."""
        self._waiting: set[str] = set()
        """Predictions whose decisions a run had yet to take when rows were read last."""

    @asynccontextmanager
    async def hold_file(
        self, file: str, sha256: str, remote: ObjectFile | None = None
    ) -> AsyncIterator[HeldFile]:
        """Give a picture of the batch; see ReviewSource."""
        if remote is None and not self._is_in_bucket(file):
            yield HeldFile(self.folder / file, sha256)
            return
        places = self._places_of(file, sha256) if remote is None else iter([remote])
        async with AsyncExitStack() as held:
            try:
                copy = await self._hold_first(places, held)
            except (ObjectGone, ObjectsRefused, NoAnswer) as error:
                raise BadPicture(str(error)) from error
            yield HeldFile(copy.path, copy.sha256, copied=True)

    def _is_in_bucket(self, file: str) -> bool:
        """Whether *file* is an output, and in the bucket of --outputs alone."""
        is_output = self._root is not None and file.startswith(f"{OUTPUTS}/")
        return is_output and not (self.folder / file).is_file()

    def _places_of(self, file: str, sha256: str) -> Iterator[ObjectFile]:
        """Yield where an output may be in the bucket. To go on may take a question to the bucket."""
        assert self._root is not None
        for address in addresses_of(PlacedObject(self._root, file, sha256)):
            yield object_of_content(address, sha256)

    async def _hold_first(self, places: Iterator[ObjectFile], held: AsyncExitStack) -> LocalFile:
        """Return a copy, as long as *held* is open, of the first of *places* that is there as it was.

        Raises as `ObjectCopies.hold`.
        """
        gone: ObjectGone | None = None
        while (wanted := await to_thread.run_sync(next, places, None)) is not None:
            try:
                return (await held.enter_async_context(self._copies.hold({0: wanted})))[0]
            except ObjectGone as error:
                gone = error
        assert gone is not None
        raise gone

    def mark(self) -> object:
        """Return something that stays equal as long as nothing of the batch changes."""
        return self.reader.data_version(), lock.is_held(self.folder), inbox.rulings_waiting(self.folder)

    def status(self) -> Status:
        """Return the state of the batch."""
        return read_status(self.reader, self.manifest, self.folder)

    def review_rows(self) -> Iterator[ReviewRow]:
        """Yield every row of the manifest, in its order, with the decisions that a run is yet to take."""
        with self._waiting_decisions() as waiting:
            for first in range(0, self.reader.places(), SLICE):
                yield from self._rows(self.reader.numbers_at(first, first + SLICE), waiting)

    def places(self) -> int:
        """Return the number of places in the manifest."""
        return self.reader.places()

    def rows_at(self, first: int, end: int) -> Iterator[ReviewRow]:
        """Yield the rows of the manifest at these places, the *end* left out, in its order."""
        with self._waiting_decisions() as waiting:
            for begin in range(first, end, SLICE):
                yield from self._rows(self.reader.numbers_at(begin, min(begin + SLICE, end)), waiting)

    def rows_named(self, ids: Sequence[str]) -> Iterator[ReviewRow]:
        """Yield those of the rows with these *ids* that are in the manifest, in its order."""
        with self._waiting_decisions() as waiting:
            yield from self._rows(self.reader.numbers_named(ids), waiting)

    def words_at(self, first: int, end: int) -> dict[str, RowWords]:
        """Return what the rows at these places are searched by, by their ids, the *end* left out."""
        return self.reader.words_at(first, end)

    def changed_rows(self, most: int) -> Iterator[ReviewRow]:
        """Yield rows that moved, *most* of them at most, and those whose decisions were made here or wait."""
        with self._waiting_decisions() as waiting:
            decided = list(self._decided)
            numbers = self.reader.numbers_of({*decided, *waiting, *self._waiting})
            yield from self._rows([*numbers, *self._moves.take(most)], waiting)
            self._waiting = set(waiting)
        self._decided.difference_update(decided)

    def ids(self) -> set[str]:
        """Return the id of every row of the manifest."""
        return self.reader.ids()

    def history(self) -> Iterator[EndedAttempt]:
        """Yield every attempt that came to an end, in the order of the ends."""
        return self.reader.history()

    async def decide(self, rulings: Sequence[ReviewDecision]) -> dict[int, str]:
        """Return once *rulings* are on disk, but for those refused: by place, why. Raises UsageError."""
        refused = await to_thread.run_sync(refused_decisions, self.folder, rulings)
        accepted = [ruling for place, ruling in enumerate(rulings) if place not in refused]
        if accepted:
            await post_decisions(self.folder, accepted)
            self._decided.update(ruling.prediction_id for ruling in accepted)
        return refused

    @contextmanager
    def _waiting_decisions(self) -> Iterator[dict[str, ReviewDecision]]:
        """Give the last decision about each prediction that a run is yet to take.

        All that is read meanwhile is of one moment: no decision is put over a later one that the run takes.
        """
        with self.reader.hold_snapshot():
            waiting = inbox.waiting_rulings(self.folder, taken=self.reader.letters_taken)
            yield {ruling.prediction_id: ruling for ruling in waiting}

    def _rows(self, numbers: Iterable[int], waiting: Mapping[str, ReviewDecision]) -> Iterator[ReviewRow]:
        for exhibit in self.reader.review_rows(numbers):
            ruling = waiting.get(exhibit.result.prediction_id or "")
            yield exhibit if ruling is None else _decided(exhibit, ruling)


@contextmanager
def open_review_source(
    manifest: Path, flags: Mapping[str, Any], secret_names: Iterable[str]
) -> Iterator[tuple[BatchReviewSource, Processes]]:
    """Give the batch of *manifest* as the page reads it, and who makes pictures small for it.

    *secret_names*: variables that those do not see. Raises LedgerError without a ledger.
    """
    # A run that is going on has its own copies of objects, in the batch folder.
    away = TemporaryDirectory(prefix="batchfill-", ignore_cleanup_errors=True)
    ledger = open_batch_ledger(manifest, flags)
    with closing(Processes(hidden=secret_names)) as workers, away as folder, ledger as reader:
        copies = ObjectCopies(Path(folder), kept=REVIEWED)
        yield BatchReviewSource(manifest, folder_of(manifest, flags), reader, copies), workers


def _decided(exhibit: ReviewRow, ruling: ReviewDecision) -> ReviewRow:
    result = replace(exhibit.result, decision=ruling.decision, chosen=ruling.chosen)
    return exhibit._replace(
        result=result, redo_prompt=ruling.prompt, redo_seed=ruling.seed, redo_inputs=ruling.inputs
    )
