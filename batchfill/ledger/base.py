"""What every part of the ledger shares: its writer, its counts, and the one way to disk."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from batchfill.domain.money import CURRENCY
from batchfill.domain.reports import Cost
from batchfill.domain.rows import RowState
from batchfill.errors import BudgetReached, LedgerFailed, StorageError
from batchfill.ledger import adoption, ledger_rows, statements
from batchfill.ledger.payment_record import PaymentRecord

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterator, Mapping
    from typing import Any

    from batchfill.domain.rows import Attempt, PendingRow
    from batchfill.errors import BatchfillError
    from batchfill.ledger.location import LedgerLocation
    from batchfill.ledger.writer import Writer


MIRRORED = "mirrored"
"""The fact that says which run made the last commit that was to be mirrored, and its how many-th it was."""

RECORDED = "recorded"
"""The fact that says how far the record was flushed at the last commit."""


class LedgerBase:
    """What every part of the ledger shares: its writer, its counts, and the one way to disk."""

    def __init__(self, writer: Writer, now: Callable[[], float], place: LedgerLocation) -> None:
        self._writer = writer
        self._now = now
        self._place = place
        self._record_of_payments = PaymentRecord()
        self._marked = ""
        """What the ledger says of how far the record is flushed."""
        self._unrecorded: dict[int, BatchfillError] = {}
        """Why intents could not be flushed to the record, by their attempts' numbers."""
        self.last_accepted: str | None = None
        """The id of the prediction accepted last."""
        self.metadata: dict[str, str] = {}
        """What the batch remembers of itself, as last committed."""
        self.counts: Mapping[RowState, int] = {}
        """Rows of the manifest by state, as last committed; so are `gone` and `cost`."""
        self.gone: Mapping[RowState, int] = {}
        self.cost = Cost(0, 0, 0, None, CURRENCY)
        self.has_made = False
        """Whether any attempt may have made something, as last committed."""
        self.cap: int | None = None
        """--max-cost in millionths."""
        self.kept = 0
        """Rows that are collecting and have only to be finished, as last committed."""
        self.to_submit = 0
        """Rows that are pending and may be submitted, now or later, as last committed."""
        self._ending: set[int] = set()
        """Attempts whose predictions have ended, which the open group of events is still to say."""
        self.intents = 0
        """Intentions to pay that were tried to be written since it was opened."""
        self._only: str | None = None
        """JSON of the keys apart from which nothing is due; None: everything may be."""

    def in_state(self, state: RowState) -> int:
        """Return how many rows are in *state*, those gone from the manifest included."""
        return self.counts.get(state, 0) + self.gone.get(state, 0)

    @property
    def running(self) -> int:
        """How many predictions run, as far as is known: those that have ended count no more."""
        return self.in_state(RowState.RUNNING) - len(self._ending)

    @contextmanager
    def ending(self, attempt: Attempt) -> Iterator[None]:
        """Count the prediction of *attempt* as ended in a block that records its end."""
        # One that came finished with its id never counted as running.
        if attempt.state is RowState.RUNNING:
            self._ending.add(attempt.number)
        try:
            yield
        finally:
            self._ending.discard(attempt.number)

    @property
    def lack(self) -> str | None:
        """Why nothing can be written now; None: it can."""
        return self._writer.lack

    @property
    def name(self) -> str:
        """The name of its file."""
        return self._place.path.name

    @property
    def in_place(self) -> bool:
        """Whether its file stands where it was opened: what is written to another is lost."""
        return self._place.kept

    @property
    def mirror_lacks_for(self) -> float:
        """Seconds since which a mirror lacks commits."""
        return self._writer.mirror.lacks_for if self._writer.mirror else 0.0

    def may_pay(self) -> bool:
        """Whether the batch is this run's own, as far as a mirror said a moment ago."""
        return self._writer.mirror is None or self._writer.mirror.may_pay()

    @property
    def record_trouble(self) -> str | None:
        """Why the record could not take the last lines; None: it did."""
        return self._record_of_payments.trouble

    async def _record_event(self, name: str, attempt: Attempt, **values: Any) -> None:
        await self._writer.commit(lambda db: self._apply_event(db, name, attempt, **values))

    async def _record_free(self, name: str, attempt: Attempt, **values: Any) -> None:
        """Record the end of an attempt that cost nothing."""

        def event(db: sqlite3.Connection) -> None:
            self._apply_event(db, name, attempt, **values)
            self._record_of_payments.free(attempt.number)

        await self._writer.commit(event)

    def _record_files(self, db: sqlite3.Connection, attempt: Attempt) -> None:
        self._record_of_payments.keep(attempt.number, adoption.files_of(db, attempt.prediction_id))

    async def _record_soon(self, name: str, attempt: Attempt, **values: Any) -> None:
        await self._writer.commit(lambda db: self._apply_event(db, name, attempt, **values), urgent=False)

    def _apply_event(self, db: sqlite3.Connection, name: str, attempt: Attempt, **values: Any) -> None:
        # Before its row is counted as ended, and never behind it: a prediction that ends once must not make
        # room twice.
        self._ending.discard(attempt.number)
        statements.run_statements(
            db, "events", name, number=attempt.number, key=attempt.key, now=self._now(), **values
        )

    async def _ask_rows(self, name: str, **values: Any) -> list[sqlite3.Row]:
        return await self._writer.read(lambda db: statements.ask_rows(db, name, **values))

    async def _ask_value(self, name: str, **values: Any) -> Any:
        return await self._writer.read(lambda db: statements.ask_value(db, name, **values))

    def before_commit(self, db: sqlite3.Connection) -> None:
        """Count once for all events of a group, in their transaction, once its ids are in the record."""
        statements.run_statements(db, "events", "touch", now=self._now())
        if self._writer.mirror is not None:
            mark = self._writer.mirror.next_mark()
            statements.run_statements(db, "events", "remember", name=MIRRORED, value=mark)
        record = self._record_of_payments
        record.flush_ids()
        if record.attached and record.mark != self._marked:
            statements.run_statements(db, "events", "remember", name=RECORDED, value=record.mark)
            self._marked = record.mark
        self.count_rows(db)

    def committed(self, db: sqlite3.Connection) -> None:
        """Flush the intents of a committed group; those that cannot be flushed must not be sent."""
        if (mirror := self._writer.mirror) is not None and mirror.lack is not None:
            # A take-over would not know of them.
            for number in self._record_of_payments.drop_intents():
                self._unrecorded[number] = StorageError(mirror.lack)
        if numbers := self._record_of_payments.flush_intents():
            error = StorageError if self._record_of_payments.full else LedgerFailed
            self._unrecorded |= {number: error(self.record_trouble or "") for number in numbers}

    def undone(self, db: sqlite3.Connection) -> None:
        """A group was undone, and nothing of it is to be recorded."""
        self._record_of_payments.forget()
        self._marked = ""
        self.count_rows(db)

    def count_rows(self, db: sqlite3.Connection) -> None:
        """Take counts and money as *db* has them."""
        tally = statements.ask_rows(db, "tally")
        self.counts = ledger_rows.to_counts(tally, gone=False)
        self.gone = ledger_rows.to_counts(tally, gone=True)
        money = statements.ask_rows(db, "money")
        self.cost = ledger_rows.to_cost(tally, money, self.cap, CURRENCY)
        self.has_made = bool(ledger_rows.to_made(money))
        self.kept = statements.ask_value(db, "kept")
        self.to_submit = self.counts[RowState.PENDING]
        if self._only is not None:
            self.to_submit = statements.ask_value(db, "pending_among", keys=self._only)

    def _affords_more(self, db: sqlite3.Connection, price: int | None) -> bool:
        """Whether --max-cost leaves *price* once each row that is pending now was made too."""
        if self.cap is None:
            return True
        committed = ledger_rows.to_committed(statements.ask_rows(db, "money"))
        pending = ledger_rows.to_pending_price(statements.ask_rows(db, "tally"))
        if committed is None or pending is None or price is None:
            return False
        return committed + pending + price <= self.cap

    def _refuse_over_budget(self, db: sqlite3.Connection, due: PendingRow) -> None:
        if self.cap is None:
            return
        committed = ledger_rows.to_committed(statements.ask_rows(db, "money"))
        if committed is None or due.price is None:
            raise BudgetReached("--max-cost needs a price for every row, and one is not known")
        if committed + due.price > self.cap:
            raise BudgetReached("the next row would pass --max-cost: give a larger one, or none, to go on")
