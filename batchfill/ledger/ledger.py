"""The ledger of a batch: everything that must not be forgotten."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

import anyio

from batchfill.errors import LedgerFailed
from batchfill.ledger import adoption, database, ledger_rows, payments, statements
from batchfill.ledger.base import RECORDED
from batchfill.ledger.events import LedgerEvents
from batchfill.ledger.import_rows import RowImport, summarize_rows
from batchfill.ledger.location import LedgerLocation
from batchfill.ledger.mirrored.mirrored_commits import MirroredCommits
from batchfill.ledger.payment_record import PAID, read_record, write_record
from batchfill.ledger.queue import LedgerQueue
from batchfill.ledger.selection import select_rows
from batchfill.ledger.writer import open_writer

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import AsyncIterator, Callable, Iterable, Sequence
    from pathlib import Path
    from typing import Any

    from batchfill.domain.rows import RowSelection, RowState
    from batchfill.ledger.adoption import Found, Pictured
    from batchfill.ledger.import_rows import Comparison
    from batchfill.ledger.mirrored.commit_mirror import CommitMirror
    from batchfill.ledger.payments import Heading, Judgement, Payment, PaymentReading
    from batchfill.ledger.selection import SelectedRows, TypeInputs


BATCH = "batch"
"""The fact that the ledger shares with its record alone."""


class Ledger(LedgerEvents, LedgerQueue):
    """Everything a batch must not forget. Times are seconds since the epoch by *now*."""

    async def load(self) -> None:
        """Read what earlier runs left."""
        self.metadata = await self._writer.read(_read_metadata)
        self.cap = ledger_rows.to_cap(self.metadata.get("max_cost"))
        self.last_accepted = await self._writer.read(lambda db: statements.ask_value(db, "last_accepted"))
        await self._writer.read(self.count_rows)

    # Whether it can be written

    def wait_for_room(self, seconds: float, on_lack: Callable[[str | None], None]) -> None:
        """Wait for room on a full disk, at most so long; *on_lack* is told why, and None at its end."""
        self._writer.patience, self._writer.on_lack = seconds, on_lack

    def give_up_waiting(self) -> None:
        """Fail at once whatever waits for room, and will."""
        self._writer.give_up()

    @asynccontextmanager
    async def mirrored(self, mirror: CommitMirror, **told: Any) -> AsyncIterator[None]:
        """Have every commit in a block mirrored before its callers go on.

        *told*: what MirroredCommits tells. Raises NoAnswer, ObjectsRefused, TakenOver where the block cannot
        begin; TakenOver also at its end.
        """
        commits = MirroredCommits(mirror, self._place.path, **told)
        async with commits.serving():
            self._writer.mirror = commits
            try:
                yield
            finally:
                self._writer.mirror = None

    # Where it is

    async def put_back(self, *, beside: bool) -> Path:
        """Put its file back where it was taken away, and return where it is now; see LedgerLocation.

        Raises LedgerFailed.
        """
        try:
            return await self._writer.read(lambda db: self._place.put_back(db, beside=beside))
        except OSError as error:
            raise LedgerFailed(f"{error.filename}: {error.strerror}") from error

    # The record of payments next to it

    async def read_record(self) -> PaymentReading | None:
        """Return what stands in the record that the ledger does not surely know. Raises LedgerError."""
        path, mark = self._place.path.with_name(PAID), self.metadata.get(RECORDED)
        return await self._writer.read(lambda db: read_record(path, mark))

    async def judge(self, found: Sequence[Payment]) -> Judgement:
        """Say what the ledger has to learn of payments."""
        return await self._writer.read(lambda db: payments.judge(found, adoption.known_attempts(db, found)))

    async def incoming_among(self, keys: Sequence[str]) -> set[str]:
        """Return those of *keys* that rows of the import that is open have."""
        return await self._writer.read(lambda db: adoption.incoming_among(db, keys))

    async def known_files(self) -> set[str]:
        """Return every file that the ledger knows of, relative to the batch folder."""
        return await self._writer.read(adoption.known_files)

    async def pictured(self, ids: Sequence[str], *, incoming: bool) -> list[Pictured]:
        """Return the rows with these ids that are pending and were never paid for, as the ledger knows."""
        return await self._writer.read(lambda db: adoption.pictured(db, ids, incoming=incoming))

    async def has_pending(self, *, incoming: bool) -> bool:
        """Return whether any row would be submitted."""
        return await self._writer.read(lambda db: adoption.has_pending(db, incoming=incoming))

    async def learn(self, judgement: Judgement, found: Sequence[Payment]) -> None:
        """Take the predictions and the files that *judgement* has of attempts which the ledger knows.

        *found*: the payments that were judged.
        """

        def event(db: sqlite3.Connection) -> None:
            for attempt in adoption.known_attempts(db, found):
                adoption.learn(db, attempt, judgement, self._now())

        await self._writer.commit(event)

    async def adopt(self, found: Sequence[Found], *, origin: str, last: int, incoming: bool) -> None:
        """Make payments that the ledger did not know attempts of their rows; see adoption.adopt."""
        options: dict[str, Any] = {"origin": origin, "last": last, "incoming": incoming}
        await self._writer.commit(lambda db: adoption.adopt(db, found, **options, now=self._now()))

    async def give_up(self, lost: Sequence[Payment], *, origin: str, last: int) -> None:
        """Keep in mind payments that are lost: their prices stay reserved."""
        await self._writer.commit(lambda db: adoption.give_up(db, lost, origin=origin, last=last))

    async def begin_record(self, heading: Heading, reading: PaymentReading | None) -> None:
        """Append every intent and every id to the record from now on; the ledger knows all that is in it.

        *reading*: what was read of the file with this *heading*; where that leaves a doubt, the file is made
        again from the ledger. Raises LedgerFailed.
        """
        path, record = self._place.path.with_name(PAID), self._record_of_payments
        goes_on = reading is not None and not reading.whole and not reading.damaged
        known = int(self.metadata[RECORDED].split()[-1]) if goes_on else 0

        def begin(db: sqlite3.Connection) -> None:
            last = statements.ask_value(db, "last_number")
            if reading is None or not goes_on:
                size = write_record(path, heading, adoption.record_lines(db))
                record.attach(path, heading, size=size, last=last)
                return
            record.attach(path, heading, size=reading.size, last=last)
            # What a run did not come to that died between the two.
            read = {payment.number for payment in reading.payments}
            record.complete(adoption.record_lines(db, after=known, without=read))

        try:
            await self._writer.read(begin)
        except OSError as error:
            raise LedgerFailed(f"{path}: cannot be written: {error.strerror}") from error
        await self.set_metadata(batch=heading.batch)

    async def end_record(self) -> None:
        """Append no more to the record."""
        with anyio.CancelScope(shield=True), suppress(LedgerFailed):
            await self._writer.read(lambda db: self._record_of_payments.close())

    # What the batch is

    async def set_metadata(self, **facts: str | None) -> None:
        """Set facts of the batch; None removes one."""

        def event(db: sqlite3.Connection) -> None:
            for name, value in facts.items():
                statements.run_statements(db, "events", "remember", name=name, value=value)

        await self._writer.commit(event)
        self.metadata.update({name: value for name, value in facts.items() if value is not None})
        for name in [name for name, value in facts.items() if value is None]:
            self.metadata.pop(name, None)
        if "max_cost" in facts:
            self.cap = ledger_rows.to_cap(facts["max_cost"])
            await self._writer.read(self.count_rows)

    @asynccontextmanager
    async def open_import(self) -> AsyncIterator[RowImport]:
        """Open an import of the manifest's rows."""
        intake = RowImport(self._writer)
        await intake.begin_import()
        try:
            yield intake
        finally:
            await intake.end_import()
            await self._writer.read(self.count_rows)

    async def summarize(self, states: Iterable[RowState]) -> Comparison:
        """Say what an import of the rows that are there would mean; pictures are counted in *states*."""
        return await self._writer.read(lambda db: summarize_rows(db, states))

    async def select(self, choice: RowSelection, type_inputs: TypeInputs, *, incoming: bool) -> SelectedRows:
        """Find the rows that *choice* means, and say what they come to; nothing is changed.

        *type_inputs* returns the values of what a redo changes, or raises ValueError. *incoming*: among the
        rows of the import that is open; else among those that are there.
        """
        return await self._writer.on_temp_tables(
            lambda db: select_rows(db, choice, type_inputs, incoming=incoming)
        )

    async def retry_selected(self) -> None:
        """Make the rows chosen last that have ended pending, with all their attempts before them.

        Those that were done are made again, with another seed.
        """
        await self._writer.commit(
            lambda db: statements.run_statements(db, "events", "retry", now=self._now())
        )

    async def restrict_to(self, keys: Iterable[str]) -> None:
        """Let no other rows than these be due, until the ledger is opened again."""
        self._only = json.dumps(list(keys))
        await self._writer.read(self.count_rows)

    async def fetch_again(self, attempts: Iterable[int]) -> None:
        """Make finished rows of the manifest, given by their attempts' numbers, collecting again."""

        def event(db: sqlite3.Connection) -> None:
            for number in attempts:
                statements.run_statements(db, "events", "fetch_again", number=number, now=self._now())

        await self._writer.commit(event)


@asynccontextmanager
async def open_ledger(path: Path, now: Callable[[], float], *, checked: bool = True) -> AsyncIterator[Ledger]:
    """Open the ledger at *path*, made where there is none, as its one writer.

    Not *checked*: it is not searched for damage, which takes as long as reading all of it.
    Raises LedgerError, with nothing changed, for a file that is not a ledger this version can use.
    """
    async with open_writer(lambda: database.open_to_write(path, checked=checked)) as writer:
        ledger = Ledger(writer, now, LedgerLocation(path))
        writer.before_commit, writer.committed, writer.on_rollback = (
            ledger.before_commit,
            ledger.committed,
            ledger.undone,
        )
        await ledger.load()
        try:
            yield ledger
        finally:
            await ledger.end_record()


def _read_metadata(db: sqlite3.Connection) -> dict[str, str]:
    return ledger_rows.to_facts(statements.ask_rows(db, "facts"))
