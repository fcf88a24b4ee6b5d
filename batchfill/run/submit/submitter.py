"""Rows that are due become predictions: intent on disk, one POST, its answer on disk."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import anyio

from batchfill.domain.predictions import own_id
from batchfill.domain.progress import Level
from batchfill.errors import (
    AnswerLost,
    BatchStopped,
    LedgerFailed,
    MachineFailed,
    NoAnswer,
    NotFound,
    NotSent,
    RowRejected,
    ServiceRefused,
    StorageError,
    Throttled,
    TooLarge,
    TransientError,
    Unavailable,
    short_of_something,
)
from batchfill.run.named_outputs import name_outputs
from batchfill.run.pause_report import PauseReport
from batchfill.run.recover.matching import confirm_prediction
from batchfill.run.submit.admission import AdmissionGate
from batchfill.run.submit.inputs import InputPreparer, Prepared, apply_redo, forget_named
from batchfill.run.submit.rate_report import RateReport
from batchfill.run.submit.refused_rows import AfterRefusal, RefusedRows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from batchfill.domain.predictions import Prediction
    from batchfill.domain.rows import Attempt, PendingRow
    from batchfill.run.context import RunContext
    from batchfill.run.submit.admission import Block

WORKERS = 16
"""Rows that are prepared or submitted at once."""

UPLOADS = 6
"""Errors of the files call until a row fails."""


class Submitter:
    """The stage that pays."""

    def __init__(
        self,
        context: RunContext,
        *,
        hold: Callable[[], Block | None],
        accepted: Callable[[Attempt, Prediction], None],
        lost: Callable[[Attempt], None],
    ) -> None:
        """*hold* says why nothing may be submitted now, and for how long at most; None: go on.

        *accepted* and *lost* are told what became of each POST.
        """
        self._context = context
        self._stopping = context.stopping
        self._accepted = accepted
        self._lost = lost
        self._preparer = InputPreparer(context)
        self._claimed: set[str] = set()
        self._unready: dict[str, int] = {}
        self._shrunk = False
        self._waiting_rows: list[PendingRow] = []
        self._taking = anyio.Lock(fast_acquire=True)
        self.open: dict[int, Attempt] = {}
        """Attempts whose POST is not answered yet, by number."""
        self.gate = AdmissionGate(context, hold, unanswered=lambda: len(self.open))
        self.allowance = RateReport(context)
        self._refused_rows = RefusedRows()
        self._pauses = PauseReport(context, "nothing is submitted")
        self.refused: str | None = None
        """Why no intent can be recorded for now; None: as far as is known they can."""
        self.submitted = 0
        """Predictions that this run was given, and those that it may have been given."""

    @property
    def busy(self) -> bool:
        """Whether some row is between claim and record."""
        return bool(self._claimed)

    async def serve_due(self) -> None:
        """Submit what is due until the run stops submitting; POSTs that are open then are seen through."""
        if self._stopping.because is not None:
            return
        left = self._context.settings.limit
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as lanes:
                lanes.start_soon(self._cancel_when_stopped, scope)
                for _ in range(WORKERS if left is None else min(WORKERS, left)):
                    lanes.start_soon(self._worker)

    async def _cancel_when_stopped(self, scope: anyio.CancelScope) -> None:
        while self._stopping.because is None:
            await self._stopping.wakeup.wait(self._stopping.wakeup.version)
        scope.cancel()

    async def _worker(self) -> None:
        while True:
            due = apply_redo(await self._take_row(), self._context.model)
            try:
                await self._submit(due)
            finally:
                self._claimed.discard(due.key)
                self.gate.wakeup.notify()
                self._stopping.wakeup.notify()

    async def _take_row(self) -> PendingRow:
        """Wait for a row that is due and that no other lane has."""
        async with self._taking:
            while not self._waiting_rows:
                # What comes due while the ledger is asked is after this look.
                seen, looked = self.gate.wakeup.version, self._context.clock.now()
                found = await self._context.ledger.due_rows(WORKERS + len(self._claimed))
                self._waiting_rows = [due for due in found if due.key not in self._claimed]
                if not self._waiting_rows:
                    await self.gate.wakeup.wait(seen, await self._until_due(looked))
            due = self._waiting_rows.pop(0)
            self._claimed.add(due.key)
            return due

    async def _until_due(self, looked: float) -> float | None:
        at = await self._context.ledger.next_due_at(looked)
        return None if at is None else max(0.0, at - self._context.clock.now()) + 0.01

    async def _submit(self, due: PendingRow) -> None:
        try:
            with short_of_something():
                prepared = await self._preparer.prepare_inputs(due)
        except RowRejected as error:
            await self._context.ledger.record_unusable(due, str(error))
            self._fail_row(due.id, str(error))
            return
        except TransientError as error:
            await self._put_off(due, error)
            return
        except ServiceRefused as error:
            self._stopping.stop_submitting(str(error), refused=True)
            return
        await self.gate.acquire()
        try:
            # An intent without its POST, or a POST without its record, would be a doubt of our own making.
            with anyio.CancelScope(shield=True):
                await self._create(due, prepared)
        finally:
            self.gate.release()

    async def _put_off(self, due: PendingRow, error: TransientError) -> None:
        """A file could not be given to the provider: others go first, and after some tries the row fails.

        Where this machine is at fault, no row is, and submitting ends.
        """
        times = self._unready.pop(due.key, 0) + (not isinstance(error, NoAnswer | Throttled))
        if times >= UPLOADS and isinstance(error, MachineFailed):
            self._stopping.stop_submitting(f"rows cannot be made ready: {error}")
            return
        if times >= UPLOADS:
            await self._context.ledger.record_unusable(due, f"its files could not be uploaded: {error}")
            self._fail_row(due.id, f"its files could not be uploaded: {error}")
            return
        self._unready[due.key] = times
        wait = max(error.wait or 0.0, self._context.timings.upload_retry * 2**times)
        await self._context.ledger.record_unready(due, str(error), due_at=self._context.clock.now() + wait)
        self._context.log.debug(f"{due.id}: {error}; again in {wait:.0f} s")

    async def _create(self, due: PendingRow, prepared: Prepared) -> None:
        try:
            attempt = await self._record_intent(due, prepared)
        except StorageError as error:
            self.refused = str(error)  # the row is pending still, and the gate waits for room
            return
        except BatchStopped as error:
            self._stopping.stop_submitting(str(error))
            return
        if attempt is None:
            return
        self.open[attempt.number] = attempt
        try:
            await self._record_made(attempt, await self._post(attempt, prepared))
        except (Throttled, Unavailable, NotSent, RowRejected, ServiceRefused, AnswerLost) as error:
            if isinstance(error, TooLarge) and self._preparer.shrink(prepared):
                await self._record_shrunk(attempt, error)
            else:
                await self._record_trouble(attempt, error)
        finally:
            del self.open[attempt.number]

    async def _post(self, attempt: Attempt, prepared: Prepared) -> Prediction:
        settings = self._context.settings
        inputs = self._with_seed(prepared.inputs, attempt.seed)
        return await self._context.service.create(
            settings.model, inputs, cancel_after=settings.prediction_timeout
        )

    async def _record_intent(self, due: PendingRow, prepared: Prepared) -> Attempt | None:
        context = self._context
        field = context.model.seed_field
        own = field is not None and not due.inputs.get(field)
        offset = context.service.clock_offset
        return await context.ledger.record_intent(
            due,
            seed=int(due.inputs[field]) if field and not own else None,
            choose_seed=context.chance.seed if own else None,
            origin=context.settings.base,
            sent=lambda seed: self._with_seed(prepared.redacted, seed),
            service_time=None if offset is None else context.clock.now() + offset,
            area=prepared.area,
        )

    def _with_seed(self, inputs: Any, seed: int | None) -> dict[str, Any]:
        field = self._context.model.seed_field
        return dict(inputs) if field is None or seed is None else {**inputs, field: seed}

    async def _record_made(self, attempt: Attempt, prediction: Prediction) -> None:
        if not prediction.id:
            # A finished picture is all there is to ask for.
            prediction = replace(prediction, id=own_id(attempt.number, attempt.seed))
        elif not prediction.certain and not (prediction.ended and prediction.outputs):
            await self._record_unconfirmed(attempt, prediction)
            return
        await self._record_accepted(attempt, prediction)

    async def _record_unconfirmed(self, attempt: Attempt, prediction: Prediction) -> None:
        """Keep an id that the answer seems to name, and ask for its prediction before the row runs."""
        context = self._context
        with self._telling_of_id(attempt, prediction):
            attempt = await context.ledger.record_unconfirmed(attempt, prediction)
        try:
            # A user who stops the run waits for this answer, so that it must not wait long for its turn.
            with anyio.fail_after(context.settings.answer_timeout):
                prediction = await confirm_prediction(context, attempt)
        except (NotFound, TransientError, ServiceRefused, TimeoutError) as error:
            why = str(error) or "the service was not asked for it in time"
            text = f"its answer seems to name prediction {attempt.prediction_id}: {why}"
            await self._record_lost(attempt, AnswerLost(text, acknowledged=True))
        else:
            await self._record_accepted(attempt, prediction)

    @contextmanager
    def _telling_of_id(self, attempt: Attempt, prediction: Prediction) -> Iterator[None]:
        """Tell the person of an id that the ledger could not note: only they can look for it."""
        try:
            yield
        except LedgerFailed:
            told = f"{attempt.id}: accepted as {prediction.id}, which the ledger could not note"
            self._context.log.notice(told, Level.ERROR)
            raise

    async def _record_accepted(self, attempt: Attempt, prediction: Prediction) -> None:
        context = self._context
        prediction = name_outputs(context, attempt, prediction)
        # The id before anything else can fail: a prediction that we forget is paid for twice.
        with self._telling_of_id(attempt, prediction):
            attempt = await context.ledger.record_accepted(attempt, prediction)
        if (trouble := context.ledger.record_trouble) is not None:
            told = f"{attempt.id}: accepted as {prediction.id}, which only the ledger could note: {trouble}"
            context.log.notice(told, Level.WARNING)
        self.gate.record_accepted(context.clock.now() - attempt.intended_at)
        self.allowance.report_change()
        self._pauses.end()
        self._count_submitted()
        context.log.debug(f"{attempt.id}: accepted as {prediction.id} (attempt {attempt.number})")
        self._accepted(attempt, prediction)

    def _count_submitted(self) -> None:
        limit = self._context.settings.limit
        self.gate.count_submitted()
        self.submitted += 1
        if limit is not None and self.submitted >= limit:
            self._stopping.stop_submitting(f"--limit {limit} reached")

    async def _record_shrunk(self, attempt: Attempt, error: TooLarge) -> None:
        """Have the row made ready again, smaller: nothing was made, and no attempt is used up."""
        await self._context.ledger.record_refused(attempt, str(error), due_at=0)
        self._say(f"{error}: pictures inside the requests are made smaller", new=not self._shrunk)
        self._shrunk = True

    async def _record_trouble(self, attempt: Attempt, error: Exception) -> None:
        context, now = self._context, self._context.clock.now()
        if isinstance(error, RowRejected | ServiceRefused):
            await forget_named(context, attempt, str(error))
        match error:
            case Throttled():
                await context.ledger.record_refused(attempt, str(error), due_at=0)
                context.creates.throttled(error.wait)
                self._pauses.add_pause(error, context.creates.paused_until - anyio.current_time())
                context.log.debug(f"{attempt.id}: {error}")
            case Unavailable():
                await self._record_unavailable(attempt, error)
            case NotSent():
                await context.ledger.record_refused(attempt, str(error), due_at=0)
                new = not self.gate.breaker.half_open
                self.gate.breaker.record_failure(now)
                self._say(f"{error}; nothing was sent, trying again", new=new)
            case RowRejected():
                await context.ledger.record_rejected(attempt, str(error))
                self._fail_row(attempt.id, str(error))
            case ServiceRefused():
                await self._record_service_refusal(attempt, error)
            case AnswerLost():
                await self._record_lost(attempt, error)

    async def _record_unavailable(self, attempt: Attempt, error: Unavailable) -> None:
        context, breaker = self._context, self.gate.breaker
        await context.ledger.record_refused(attempt, str(error), due_at=0)
        new = not breaker.half_open
        end = breaker.unavailable(context.clock.now(), intended_at=attempt.intended_at)
        if error.wait is not None:
            context.creates.throttled(error.wait)
        self._say(f"{attempt.id}: {error}; nothing was made, trying again", new=new)
        if end:
            self._stopping.stop_submitting(str(error), refused=True)

    async def _record_service_refusal(self, attempt: Attempt, error: ServiceRefused) -> None:
        """Let others go first: it may be about this row. It is not where it was so for others, or for all."""
        context, now = self._context, self._context.clock.now()
        accepted = context.ledger.last_accepted is not None
        wait = context.timings.refused_create
        match self._refused_rows.add_refusal(attempt.key, error, now=now, any_accepted=accepted):
            case AfterRefusal.END:
                await context.ledger.record_refused(attempt, str(error), due_at=now + wait if accepted else 0)
                self._stopping.stop_submitting(str(error), refused=True)
            case AfterRefusal.FAIL:
                await context.ledger.record_rejected(attempt, str(error))
                self._fail_row(attempt.id, str(error))
            case AfterRefusal.WAIT:
                await context.ledger.record_refused(attempt, str(error), due_at=now + wait)
                text = f"{attempt.id}: {error}; others go first, and it is asked once more in {wait:.0f} s"
                context.log.notice(text, Level.WARNING)

    async def _record_lost(self, attempt: Attempt, error: AnswerLost) -> None:
        context, now = self._context, self._context.clock.now()
        acknowledged = error.acknowledged
        lost = await context.ledger.record_answer_lost(
            attempt, str(error), acknowledged=acknowledged, answer=error.kept
        )
        self._count_submitted()
        new = acknowledged or not self.gate.breaker.half_open
        why = self.gate.breaker.lost(now, intended_at=attempt.intended_at, unread=acknowledged)
        self._say(f"{attempt.id}: {error}; it may have been taken, so it is looked up first", new=new)
        if error.refused and context.ledger.last_accepted is None:
            self._stopping.stop_submitting(str(error), refused=True)
        elif why is not None:
            self._stopping.stop_submitting(f"{why}, and each may have to be paid for; the last: {error}")
        self._lost(lost)

    def _say(self, text: str, *, new: bool) -> None:
        """Tell trouble: that which is *new* to the person who watches, the rest to the log."""
        self._context.log.notice(text, Level.WARNING if new else Level.DEBUG)

    def _fail_row(self, id_: str, reason: str) -> None:
        self._context.log.row_failed(id_, reason)
        self._stopping.record_failure(reason)
