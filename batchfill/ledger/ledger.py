"""The memory of a batch: one method an event, each on disk before it returns."""

from __future__ import annotations

import json
import sqlite3
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import anyio

from batchfill.errors import AnswerLost, BudgetReached, FolderFailed, LedgerFailed
from batchfill.ledger import adoption, payments, records, sql, storage
from batchfill.ledger.choosing import choose
from batchfill.ledger.intake import Intake, standing
from batchfill.ledger.payment_record import PAID, PaymentRecord, read_record, write_record
from batchfill.ledger.place import Place
from batchfill.ledger.writer import open_writer
from batchfill.values import (
    Accepted,
    Attempt,
    Collectable,
    Cost,
    Due,
    LocalFile,
    Outcome,
    Output,
    Prediction,
    RowState,
    ToCollect,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from batchfill.errors import BatchfillError
    from batchfill.ledger.adoption import Found, Pictured
    from batchfill.ledger.choosing import Chosen
    from batchfill.ledger.intake import Comparison
    from batchfill.ledger.payments import Heading, Judgement, Payment, Reading
    from batchfill.ledger.writer import Writer
    from batchfill.values import Box, Choice, Letter

CURRENCY = "USD"
BATCH = "batch"
"""The fact that the ledger shares with its record alone."""
RECORDED = "recorded"
"""The fact that says how far the record was flushed at the last commit."""


class Ledger:
    """Everything a batch must not forget. Times are seconds since the epoch by *now*."""

    def __init__(self, writer: Writer, now: Callable[[], float], place: Place) -> None:
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
        self.facts: dict[str, str] = {}
        """What the batch remembers of itself, as last committed."""
        self.counts: Mapping[RowState, int] = {}
        """Rows of the manifest by state, as last committed; so are `gone` and `cost`."""
        self.gone: Mapping[RowState, int] = {}
        self.cost = Cost(0, 0, 0, None, CURRENCY)
        self.cap: int | None = None
        """--max-cost in millionths."""
        self.kept = 0
        """Rows that are collecting and have only to be finished, as last committed."""
        self.to_submit = 0
        """Rows that are pending and may be submitted, now or later, as last committed."""
        self.intents = 0
        """Intentions to pay that were tried to be written since it was opened."""
        self._only: str | None = None
        """JSON of the keys beside which nothing is due; None: everything may be."""

    async def load(self) -> None:
        """Read what earlier runs left."""
        self.facts = await self._writer.read(_facts)
        self.cap = records.to_cap(self.facts.get("max_cost"))
        self.last_accepted = await self._writer.read(lambda db: sql.ask_one(db, "last_accepted"))
        await self._writer.read(self.count)

    def in_state(self, state: RowState) -> int:
        """Return how many rows are in *state*, those gone from the manifest included."""
        return self.counts.get(state, 0) + self.gone.get(state, 0)

    # Whether it can be written

    def wait_for_room(self, seconds: float, on_lack: Callable[[str | None], None]) -> None:
        """Wait for room on a full disk, at most so long; *on_lack* is told why, and None at its end."""
        self._writer.patience, self._writer.on_lack = seconds, on_lack

    @property
    def lack(self) -> str | None:
        """Why nothing can be written now; None: it can."""
        return self._writer.lack

    def give_up_waiting(self) -> None:
        """Fail at once whatever waits for room, and will."""
        self._writer.give_up()

    # Where it is

    @property
    def name(self) -> str:
        """The name of its file."""
        return self._place.path.name

    @property
    def in_place(self) -> bool:
        """Whether its file stands where it was opened: what is written to another is written for nobody."""
        return self._place.kept

    async def put_back(self, *, beside: bool) -> Path:
        """Put its file back where it was taken away, and return where it is now; see Place.

        Raises LedgerFailed.
        """
        try:
            return await self._writer.read(lambda db: self._place.put_back(db, beside=beside))
        except OSError as error:
            raise LedgerFailed(f"{error.filename}: {error.strerror}") from error

    # The record of payments beside it

    @property
    def record_trouble(self) -> str | None:
        """Why the record could not take the last lines; None: it did."""
        return self._record_of_payments.trouble

    async def read_record(self) -> Reading | None:
        """Return what stands in the record that the ledger does not surely know. Raises LedgerError."""
        path, mark = self._place.path.with_name(PAID), self.facts.get(RECORDED)
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
        """Return the rows with these ids that were never submitted as far as the ledger knows."""
        return await self._writer.read(lambda db: adoption.pictured(db, ids, incoming=incoming))

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

    async def begin_record(self, heading: Heading, reading: Reading | None) -> None:
        """Append every intent and every id to the record from now on; the ledger knows all that is in it.

        *reading*: what was read of the file with this *heading*; where that leaves a doubt, the file is made
        again from the ledger. Raises LedgerFailed.
        """
        path, record = self._place.path.with_name(PAID), self._record_of_payments
        goes_on = reading is not None and not reading.whole and not reading.damaged
        known = int(self.facts[RECORDED].split()[-1]) if goes_on else 0

        def begin(db: sqlite3.Connection) -> None:
            last = sql.ask_one(db, "last_number")
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
        await self.remember(batch=heading.batch)

    async def end_record(self) -> None:
        """Append no more to the record."""
        with anyio.CancelScope(shield=True), suppress(LedgerFailed):
            await self._writer.read(lambda db: self._record_of_payments.close())

    # What the batch is

    async def remember(self, **facts: str | None) -> None:
        """Set facts of the batch; None removes one."""

        def event(db: sqlite3.Connection) -> None:
            for name, value in facts.items():
                sql.act(db, "events", "remember", name=name, value=value)

        await self._writer.commit(event)
        self.facts.update({name: value for name, value in facts.items() if value is not None})
        for name in [name for name, value in facts.items() if value is None]:
            self.facts.pop(name, None)
        if "max_cost" in facts:
            self.cap = records.to_cap(facts["max_cost"])
            await self._writer.read(self.count)

    @asynccontextmanager
    async def intake(self) -> AsyncIterator[Intake]:
        """Open an import of the manifest's rows."""
        intake = Intake(self._writer)
        await intake.begin()
        try:
            yield intake
        finally:
            await intake.end()
            await self._writer.read(self.count)

    async def standing(self, states: Iterable[RowState]) -> Comparison:
        """Say what an import of the rows that are there would mean; pictures are counted in *states*."""
        return await self._writer.read(lambda db: standing(db, states))

    async def choose(self, choice: Choice, *, incoming: bool) -> Chosen:
        """Find the rows that *choice* means, and say what they come to; nothing is changed.

        *incoming*: among those of the import that is open; else among those that are there.
        """
        return await self._writer.aside(lambda db: choose(db, choice, incoming=incoming))

    async def retry(self) -> None:
        """Make the rows chosen last that have ended pending, with all their attempts before them.

        Those that were done are made anew, with another seed.
        """
        await self._writer.commit(lambda db: sql.act(db, "events", "retry", now=self._now()))

    async def narrow(self, keys: Iterable[str]) -> None:
        """Let no other rows than these be due, until the ledger is opened anew."""
        self._only = json.dumps(list(keys))
        await self._writer.read(self.count)

    async def fetch_again(self, attempts: Iterable[int]) -> None:
        """Make finished rows of the manifest, given by their attempts' numbers, collecting again."""

        def event(db: sqlite3.Connection) -> None:
            for number in attempts:
                sql.act(db, "events", "fetch_again", number=number, now=self._now())

        await self._writer.commit(event)

    # What is due

    async def due(self, limit: int) -> list[Due]:
        """Return rows whose turn it is to be submitted, at most *limit*."""
        values = {"now": self._now(), "limit": limit}
        if self._only is None:
            found = await self._ask("due", **values)
        else:
            found = await self._ask("due_among", keys=self._only, **values)
        return [records.to_due(record) for record in found]

    async def next_due_at(self, after: float) -> float | None:
        """Return when the first retry comes due after that time, that of a look; None when none does."""
        at: float | None
        if self._only is None:
            at = await self._ask_one("next_due_at", after=after)
        else:
            at = await self._ask_one("next_due_among", keys=self._only, after=after)
        return at

    async def open_attempts(self, state: RowState) -> list[Attempt]:
        """Return the attempts whose rows are submitting, running or in doubt, longest first."""
        return [records.to_attempt(r) for r in await self._ask("open_attempts", state=state.value)]

    async def to_collect(
        self, limit: int, *, without: Iterable[int] = (), busy: Iterable[int] = ()
    ) -> ToCollect:
        """Return at most *limit* attempts whose outputs are due to be fetched, and what waits behind them.

        *without* these attempts, which nobody waits for; those that are *busy* wait, and are not returned.
        """
        now, left, taken = self._now(), json.dumps([*without]), json.dumps([*without, *busy])

        def question(db: sqlite3.Connection) -> ToCollect:
            due = sql.ask(db, "collecting", now=now, limit=limit, without=taken)
            oldest = sql.ask_one(db, "oldest_collecting", without=left)
            # What comes due while this is asked is after *now* for both.
            return ToCollect(
                tuple(_collectable(db, records.to_attempt(record)) for record in due),
                oldest=oldest,
                next_at=sql.ask_one(db, "next_collect_at", after=now),
            )

        return await self._writer.read(question)

    async def outputs_of(self, prediction_id: str) -> list[Output]:
        """Return a prediction's outputs in order."""
        return [records.to_output(r) for r in await self._ask("outputs_of", prediction_id=prediction_id)]

    async def claimed(self, prediction_ids: Sequence[str]) -> set[str]:
        """Return those of *prediction_ids* that are ours already."""
        found = await self._ask("claimed", ids=json.dumps(list(prediction_ids)))
        return {record[0] for record in found}

    async def accepted_before(self, attempt: Attempt, *, seconds: float, limit: int) -> list[Accepted]:
        """Return at most *limit* predictions of ours up to the attempt's anchor, newest first.

        They were asked for within *seconds* before it; none where the attempt has no anchor.
        """
        values = {"anchor": attempt.anchor, "seconds": seconds, "limit": limit}
        return [Accepted(**dict(record)) for record in await self._ask("accepted_before", **values)]

    async def unlisted(self, shown: Iterable[str], *, first: int, accepted_by: float) -> str | None:
        """Return a prediction of ours that is not among *shown*; None when there is none.

        Asked is about attempts from the number *first* on whose answers had come by *accepted_by*.
        """
        values = {"shown": json.dumps([*shown]), "first": first, "accepted_by": accepted_by}
        prediction_id: str | None = await self._ask_one("unlisted", **values)
        return prediction_id

    async def run_times(self, limit: int) -> list[float]:
        """Return how long the last *limit* predictions took, oldest first, in the service's seconds."""
        return [record[0] for record in reversed(await self._ask("run_times", limit=limit))]

    # Submit

    async def record_intent(
        self,
        due: Due,
        *,
        seed: int | None,
        choose_seed: Callable[[], int] | None,
        origin: str,
        sent: Callable[[int | None], Mapping[str, Any]],
        service_time: float | None,
        area: Box | None = None,
    ) -> Attempt | None:
        """Write the intention to pay for *due* and return it; None, with nothing written, if not pending.

        *choose_seed* draws a seed until one is unique in the ledger; None keeps *seed*, the row's own.
        *sent* gives the input to note for a seed, *area* is what is sent of the picture.
        Raises BudgetReached when the price would pass the cap, LedgerFailed when the ledger's file or its
        record was taken away, and FolderFailed, with the row pending as before, while their disk is full.
        """

        def event(db: sqlite3.Connection) -> Attempt | None:
            if not self.in_place:
                raise LedgerFailed(f"{self.name} was taken away while the run went on")
            # Asked in the same transaction: whatever the callers believe, a row is never in flight twice.
            if sql.ask_one(db, "state_of", key=due.key) != RowState.PENDING:
                return None
            self._refuse_over_budget(db, due)
            chosen = seed if choose_seed is None else _unique(db, choose_seed)
            values = {
                "key": due.key,
                "seed": chosen,
                "own_seed": choose_seed is not None,
                "origin": origin,
                "sent": records.to_json(sent(chosen)),
                "outputs_asked": due.outputs_asked,
                "price": due.price,
                "anchor": self.last_accepted,
                "service_time": service_time,
                "area": None if area is None else json.dumps(area),
                "prompt": due.redo and due.redo.prompt,
                "now": self._now(),
            }
            sql.act(db, "events", "record_intent", **values)
            number = db.execute("SELECT attempt FROM rows WHERE key = ?", (due.key,)).fetchone()[0]
            told = {"key": due.key, "row": due.id, "at": values["now"], "seed": chosen, "price": due.price}
            self._record_of_payments.intend(number, **told, area=area)
            submitting = sql.ask(db, "attempt", number=number)
            self.intents += 1
            return records.to_attempt(submitting[0])

        # One that had to wait could come after its user has stopped the run.
        attempt = await self._writer.commit(event, put_off=False)
        if attempt is not None and (error := self._unrecorded.pop(attempt.number, None)) is not None:
            # The record holds no line of it, and needs none: nothing was sent.
            await self._record("record_refused", attempt, error=str(error), due_at=0)
            raise error
        return attempt

    async def record_accepted(self, attempt: Attempt, prediction: Prediction) -> Attempt:
        """The service has it: the id comes before anything else. Return the attempt as it is now.

        Raises AnswerLost when the id is another attempt's already, so that it cannot be this one's too.
        """
        values = {
            "prediction_id": prediction.id,
            "status": prediction.status,
            "created_at": prediction.created_at,
        }

        def event(db: sqlite3.Connection) -> None:
            self._act(db, "record_accepted", attempt, **values)
            self._record_of_payments.accept(attempt.number, prediction.id)

        try:
            await self._writer.commit(event)
        except sqlite3.IntegrityError as error:
            text = f"the service answered with prediction {prediction.id}, which is another row's"
            raise AnswerLost(text, acknowledged=True) from error
        self.last_accepted = prediction.id
        return replace(
            attempt,
            state=RowState.RUNNING,
            prediction_id=prediction.id,
            created_at=prediction.created_at,
            accepted_at=self._now(),
            tries=attempt.tries + (attempt.state is not RowState.IN_DOUBT),
        )

    async def record_refused(self, attempt: Attempt, error: str, *, due_at: float) -> None:
        """Nothing was made and the row may be submitted again from *due_at*; costs no attempt."""
        await self._record_free("record_refused", attempt, error=error, due_at=due_at)

    async def record_rejected(self, attempt: Attempt, error: str) -> None:
        """Nothing was made and never will be of this row as it is."""
        await self._record_free("record_rejected", attempt, error=error)

    async def record_unready(self, due: Due, error: str, *, due_at: float) -> None:
        """A row could not be made ready, before any intent; again at *due_at*."""
        values = {"key": due.key, "error": error, "due_at": due_at}
        await self._writer.commit(lambda db: sql.act(db, "events", "record_unready", **values))

    async def record_unusable(self, due: Due, error: str) -> None:
        """A row failed before any intent: a file became unreadable, or is too large for the provider."""
        await self._writer.commit(
            lambda db: sql.act(db, "events", "record_unusable", key=due.key, error=error, now=self._now())
        )

    async def record_answer_lost(
        self, attempt: Attempt, error: str, *, acknowledged: bool = False
    ) -> Attempt:
        """The POST may have been taken; recover will find out. Return the attempt as it is now.

        *acknowledged*: an answer said that it was, so that it is never taken for absent.
        """
        await self._record("record_answer_lost", attempt, error=error, acknowledged=acknowledged)
        return replace(attempt, lost_at=self._now(), acknowledged=acknowledged)

    # Recover

    async def record_absent_once(self, attempt: Attempt) -> Attempt:
        """A first look found it surely absent; a second must agree. Return the attempt as it is now."""
        await self._record("record_absent_once", attempt)
        return replace(attempt, absent_at=attempt.absent_at or self._now())

    async def record_in_doubt(self, attempt: Attempt, error: str) -> None:
        """It may have been paid, and was not found out: held, never resent unasked."""
        await self._record("record_in_doubt", attempt, error=error)

    async def record_given_up(self, attempt: Attempt) -> None:
        """It stays in doubt, and the user wants its row submitted anew: its price stays reserved."""
        await self._record("record_given_up", attempt)

    async def record_followed_again(self, attempt: Attempt) -> None:
        """The service knows a prediction in doubt after all."""
        await self._record("record_followed_again", attempt)

    # Follow

    async def record_cancel_asked(self, attempt: Attempt, by: str | None) -> Attempt:
        """The service is asked to cancel by `time-out` or `user`; None: it could not. Return it."""
        await self._record("record_cancel_asked", attempt, by=by)
        return replace(attempt, cancel_asked=by)

    async def record_succeeded(self, attempt: Attempt, prediction: Prediction) -> None:
        """Made and paid: its outputs are to be collected."""

        def event(db: sqlite3.Connection) -> None:
            values = {"status": prediction.status, "run_time": _run_time(prediction), "seed": prediction.seed}
            self._act(db, "record_succeeded", attempt, **values)
            for n, url in enumerate(prediction.outputs, 1):
                sql.act(db, "events", "record_output", prediction_id=attempt.prediction_id, n=n, url=url)

        await self._writer.commit(event)

    async def record_failed(
        self,
        attempt: Attempt,
        status: str,
        error: str,
        *,
        outcome: Outcome,
        retry_at: float | None,
    ) -> None:
        """The service said no. The row is pending again from *retry_at*; None: failed for good."""
        state = RowState.FAILED if retry_at is None else RowState.PENDING
        record = self._record_free if outcome is Outcome.FAILED else self._record
        await record(
            "record_failed",
            attempt,
            status=status,
            error=error,
            outcome=outcome.value,
            state=state.value,
            due_at=retry_at or 0,
        )

    # Collect

    async def record_put_off(self, attempt: Attempt, error: str, *, due_at: float) -> None:
        """Fetching did not work; again at *due_at*."""
        await self._record_soon("record_put_off", attempt, error=error, due_at=due_at)

    async def record_urls(self, attempt: Attempt, urls: Sequence[str]) -> None:
        """The service named the outputs anew."""

        def event(db: sqlite3.Connection) -> None:
            for n, url in enumerate(urls, 1):
                sql.act(db, "events", "record_output", prediction_id=attempt.prediction_id, n=n, url=url)

        await self._writer.commit(event)

    async def record_planned(self, outputs: Sequence[Output]) -> None:
        """Files were fetched whole and are about to be put where *planned* says, with size and digest.

        Should we die between the rename and its record, what stands there can be known for ours.
        """

        def event(db: sqlite3.Connection) -> None:
            for output in outputs:
                values = {"planned": output.planned, "size": output.size, "sha256": output.sha256}
                sql.act(db, "events", "record_planned", **_of(output), **values)

        await self._writer.commit(event, urgent=False)

    async def record_kept(self, attempt: Attempt, outputs: Sequence[Output]) -> None:
        """Outputs are, as the service sent them, where their *raw* says, for files to be made of them.

        Those that say nothing any more are to be fetched again. When none is left to be fetched, beside what
        is lost, the row is to be finished.
        """

        def event(db: sqlite3.Connection) -> None:
            for output in outputs:
                values = {"raw": output.raw, "raw_sha256": output.raw_sha256}
                sql.act(db, "events", "record_kept", **_of(output), **values)
            self._act(db, "record_all_kept", attempt)

        await self._writer.commit(event, urgent=False)

    async def record_lost(self, attempt: Attempt, lost: Mapping[int, str]) -> None:
        """Outputs, by their numbers, will not come, and why."""

        def event(db: sqlite3.Connection) -> None:
            for n, why in lost.items():
                sql.act(db, "events", "record_lost", prediction_id=attempt.prediction_id, n=n, lost=why)

        await self._writer.commit(event)

    async def to_finish(self, limit: int, *, without: Iterable[int] = ()) -> list[Collectable]:
        """Return at most *limit* rows whose outputs are kept, and of which files are to be made."""
        left = json.dumps(list(without))
        return await self._collectables("to_finish", limit=limit, without=left)

    async def record_judged(self, outputs: Sequence[Output]) -> None:
        """The flags of *outputs* are known."""

        def event(db: sqlite3.Connection) -> None:
            for output in outputs:
                sql.act(db, "events", "record_judged", **_of(output), flags=" ".join(output.flags or ()))

        await self._writer.commit(event, urgent=False)

    async def unjudged(self, limit: int, *, without: Iterable[int] = ()) -> list[Collectable]:
        """Return at most *limit* finished rows, with local pictures, whose outputs nobody has judged."""
        left = json.dumps(list(without))
        return await self._collectables("unjudged", limit=limit, without=left)

    async def finished(self, limit: int, *, after: int = 0) -> list[Collectable]:
        """Return at most *limit* finished rows with local pictures, behind attempt number *after*."""
        return await self._collectables("finished", limit=limit, after=after)

    async def _collectables(self, name: str, **values: Any) -> list[Collectable]:
        def question(db: sqlite3.Connection) -> list[Collectable]:
            return [_collectable(db, records.to_attempt(record)) for record in sql.ask(db, name, **values)]

        return await self._writer.read(question)

    async def record_collected(
        self,
        attempt: Attempt,
        placed: Sequence[tuple[Output, int, int]],
        error: str | None,
        *,
        in_place: bool = True,
        more: bool = False,
    ) -> None:
        """Files are whole and in place, and the row is done; *placed* holds each output, width and height.

        *more*: as long as other outputs may come it is not. Not *in_place*: the files are set aside, since
        another row of the manifest has the row's id.
        """

        placed_id = attempt.id if in_place else ""

        def event(db: sqlite3.Connection) -> None:
            for output, width, height in placed:
                values = records.to_placed(output) | {"width": width, "height": height}
                sql.act(db, "events", "record_placed", now=self._now(), **values)
            name = "record_saved" if more else "record_collected"
            self._act(db, name, attempt, placed_id=placed_id, error=error)
            if sql.ask_one(db, "state_of", key=attempt.key) == RowState.DONE:
                self._record_files(db, attempt)

        await self._writer.commit(event, urgent=False)

    async def record_expired(self, attempt: Attempt, error: str) -> None:
        """Paid and made, but the service removed it before it was fetched."""
        await self._record("record_uncollected", attempt, state=RowState.EXPIRED.value, error=error)

    async def record_uncollectable(self, attempt: Attempt, error: str) -> None:
        """Paid and made, but no picture to fetch: a refused address, bytes that never decode."""
        await self._record("record_uncollected", attempt, state=RowState.FAILED.value, error=error)

    async def outputs_in_the_way(self, attempt: Attempt, folded_id: str) -> list[Output] | None:
        """Return files in `outputs/` that stand under the attempt's id but belong to another attempt.

        None: they stand there by right, since the attempt's row is gone from the manifest, and one that is
        in it has its id.
        """

        def question(db: sqlite3.Connection) -> list[Output] | None:
            if sql.ask_one(db, "named_by_another", key=attempt.key, folded_id=folded_id) is not None:
                return None
            found = sql.ask(db, "outputs_in_the_way", folded_id=folded_id, number=attempt.number)
            return [records.to_output(record) for record in found]

        return await self._writer.read(question)

    async def record_moved(self, output: Output, file: str) -> None:
        """A file was renamed, to *file* relative to the batch folder; its row may have to be named again."""
        await self._writer.commit(lambda db: sql.act(db, "events", "record_moved", **_of(output), file=file))

    async def misnamed(self) -> list[Attempt]:
        """Return the attempts of rows whose files do not bear their row's id."""
        return [records.to_attempt(record) for record in await self._ask("misnamed")]

    async def record_renamed(self, attempt: Attempt) -> None:
        """Every file of the row bears its present id."""

        def event(db: sqlite3.Connection) -> None:
            self._act(db, "record_renamed", attempt, placed_id=attempt.id)
            self._record_files(db, attempt)

        await self._writer.commit(event)

    # Decide

    async def record_decisions(self, letters: Sequence[Letter], *, there: Iterable[str]) -> None:
        """Take what was decided, in its order, from each letter that was not taken before.

        *there*: the names of all letters that may be met again; the others' are forgotten. What is said of
        predictions that are not ours is left out.
        """

        def event(db: sqlite3.Connection) -> None:
            for letter in letters:
                if sql.ask_one(db, "letter_taken", name=letter.name) is None:
                    sql.act(db, "events", "record_letter", name=letter.name)
                    for ruling in letter.rulings:
                        sql.act(db, "events", "record_decision", **asdict(ruling))
            sql.act(db, "events", "forget_letters", there=json.dumps(list(there)))

        await self._writer.commit(event)

    # Files

    async def upload_of(self, sha256: str, origin: str, *, good_until: float) -> str | None:
        """Return the address of an upload of this content that is good at least until then."""
        values = {"sha256": sha256, "origin": origin, "good_until": good_until}
        url: str | None = await self._ask_one("upload_of", **values)
        return url

    async def record_upload(self, sha256: str, origin: str, url: str, expires_at: float) -> None:
        """The provider has this content until *expires_at*."""
        values = {"sha256": sha256, "origin": origin, "url": url, "expires_at": expires_at}
        await self._writer.commit(lambda db: sql.act(db, "events", "record_upload", **values))

    async def forget_uploads(self, origin: str, urls: Sequence[str]) -> None:
        """The service no longer has what was given to it at these addresses."""
        values = {"origin": origin, "urls": json.dumps(list(urls))}
        await self._writer.commit(lambda db: sql.act(db, "events", "forget_uploads", **values))

    async def record_digests(self, files: Iterable[LocalFile]) -> None:
        """Remember digests while files keep their stamp."""
        (statement,) = sql.load("events")["record_digest"]
        values = [{"path": str(f.path), "stamp": records.to_text(f.stamp), "sha256": f.sha256} for f in files]
        await self._writer.commit(lambda db: db.executemany(statement, values))

    # The one way to disk

    async def _record(self, name: str, attempt: Attempt, **values: Any) -> None:
        await self._writer.commit(lambda db: self._act(db, name, attempt, **values))

    async def _record_free(self, name: str, attempt: Attempt, **values: Any) -> None:
        """Record the end of an attempt that cost nothing."""

        def event(db: sqlite3.Connection) -> None:
            self._act(db, name, attempt, **values)
            self._record_of_payments.free(attempt.number)

        await self._writer.commit(event)

    def _record_files(self, db: sqlite3.Connection, attempt: Attempt) -> None:
        self._record_of_payments.keep(attempt.number, adoption.files_of(db, attempt.prediction_id))

    async def _record_soon(self, name: str, attempt: Attempt, **values: Any) -> None:
        await self._writer.commit(lambda db: self._act(db, name, attempt, **values), urgent=False)

    def _act(self, db: sqlite3.Connection, name: str, attempt: Attempt, **values: Any) -> None:
        sql.act(db, "events", name, number=attempt.number, key=attempt.key, now=self._now(), **values)

    async def _ask(self, name: str, **values: Any) -> list[sqlite3.Row]:
        return await self._writer.read(lambda db: sql.ask(db, name, **values))

    async def _ask_one(self, name: str, **values: Any) -> Any:
        return await self._writer.read(lambda db: sql.ask_one(db, name, **values))

    def close_group(self, db: sqlite3.Connection) -> None:
        """Count once for all events of a group, in their transaction, once its ids are in the record."""
        sql.act(db, "events", "touch", now=self._now())
        record = self._record_of_payments
        record.flush_ids()
        if record.attached and record.mark != self._marked:
            sql.act(db, "events", "remember", name=RECORDED, value=record.mark)
            self._marked = record.mark
        self.count(db)

    def committed(self, db: sqlite3.Connection) -> None:
        """Flush the intents of a committed group; those that cannot be flushed must not be sent."""
        if numbers := self._record_of_payments.flush_intents():
            error = FolderFailed if self._record_of_payments.full else LedgerFailed
            self._unrecorded |= {number: error(self.record_trouble or "") for number in numbers}

    def undone(self, db: sqlite3.Connection) -> None:
        """A group was undone, and nothing of it is to be recorded."""
        self._record_of_payments.forget()
        self._marked = ""
        self.count(db)

    def count(self, db: sqlite3.Connection) -> None:
        """Take counts and money as *db* has them."""
        tally = sql.ask(db, "tally")
        self.counts = records.to_counts(tally, gone=False)
        self.gone = records.to_counts(tally, gone=True)
        self.cost = records.to_cost(tally, sql.ask(db, "money"), self.cap, CURRENCY)
        self.kept = sql.ask_one(db, "kept")
        self.to_submit = self.counts[RowState.PENDING]
        if self._only is not None:
            self.to_submit = sql.ask_one(db, "pending_among", keys=self._only)

    def _refuse_over_budget(self, db: sqlite3.Connection, due: Due) -> None:
        if self.cap is None:
            return
        cost = records.to_cost([], sql.ask(db, "money"), self.cap, CURRENCY)
        if cost.spent is None or cost.reserved is None or due.price is None:
            raise BudgetReached("--max-cost needs a price for every row, and one is not known")
        if cost.spent + cost.reserved + due.price > self.cap:
            raise BudgetReached("the next row would pass --max-cost: give a larger one, or none, to go on")


@asynccontextmanager
async def open_ledger(path: Path, now: Callable[[], float], *, checked: bool = True) -> AsyncIterator[Ledger]:
    """Open the ledger at *path*, made where there is none, as its one writer.

    Not *checked*: it is not searched for damage, which takes as long as reading all of it.
    Raises LedgerError, with nothing changed, for a file that is not a ledger this version can use.
    """
    async with open_writer(lambda: storage.open_to_write(path, checked=checked)) as writer:
        ledger = Ledger(writer, now, Place(path))
        writer.close_group, writer.committed, writer.undone = (
            ledger.close_group,
            ledger.committed,
            ledger.undone,
        )
        await ledger.load()
        try:
            yield ledger
        finally:
            await ledger.end_record()


def _collectable(db: sqlite3.Connection, attempt: Attempt) -> Collectable:
    outputs = sql.ask(db, "outputs_of", prediction_id=attempt.prediction_id)
    (row,) = sql.ask(db, "asked", key=attempt.key)
    return Collectable(attempt, tuple(map(records.to_output, outputs)), records.to_asked(row))


def _of(output: Output) -> dict[str, Any]:
    return {"prediction_id": output.prediction_id, "n": output.n}


def _facts(db: sqlite3.Connection) -> dict[str, str]:
    return records.to_facts(sql.ask(db, "facts"))


def _unique(db: sqlite3.Connection, choose: Callable[[], int]) -> int:
    while sql.ask_one(db, "seed_taken", seed=(seed := choose())) is not None:
        pass
    return seed


def _run_time(prediction: Prediction) -> float | None:
    if prediction.completed_at is None or prediction.created_at is None:
        return None
    return max(0.0, prediction.completed_at - prediction.created_at)
