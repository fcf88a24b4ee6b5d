"""What the answer to a create makes of its attempt: on disk first, then for those who wait for it."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import anyio

from batchfill.domain.predictions import own_id
from batchfill.domain.progress import Level
from batchfill.domain.resends import may_resend
from batchfill.errors import (
    AnswerLost,
    LedgerFailed,
    NotFound,
    NotSent,
    RowRejected,
    ServiceRefused,
    Throttled,
    TransientError,
    Unavailable,
)
from batchfill.providers.error_text import addresses_named
from batchfill.run.pause_report import PauseReport
from batchfill.run.submit.rate_report import RateReport
from batchfill.run.submit.refused_rows import AfterRefusal, RefusedRows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from batchfill.domain.predictions import Prediction
    from batchfill.domain.rows import Attempt
    from batchfill.run.context import RunContext
    from batchfill.run.submit.admission import AdmissionGate

TROUBLES = (Throttled, Unavailable, NotSent, RowRejected, ServiceRefused, AnswerLost)
"""What a create raises where its answer is no prediction."""


class AnswerRecorder:
    """Records answers to creates, and what follows from them for the creates to come."""

    def __init__(
        self,
        context: RunContext,
        gate: AdmissionGate,
        *,
        accepted: Callable[[Attempt, Prediction], None],
        lost: Callable[[Attempt], None],
    ) -> None:
        """*accepted* and *lost* are told of attempts that the service has, and of those to be looked up."""
        self._context = context
        self._stopping = context.stopping
        self._gate = gate
        self._accepted = accepted
        self._lost = lost
        self._refused_rows = RefusedRows()
        self._pauses = PauseReport(context.log, context.clock, context.timings, "nothing is submitted")
        self._counted: set[int] = set()
        """Attempts that count for --limit at the gate, and whose creates are sent again."""
        self.allowance = RateReport(context.creates, context.ledger, context.log)
        self.submitted = 0
        """Predictions that this run was given, and those that it may have been given."""

    async def record_made(self, attempt: Attempt, prediction: Prediction, *, sent_at: float) -> None:
        """The answer holds *prediction*. *sent_at*: when its request left; see record_lost."""
        if not prediction.id:
            # A finished picture is all there is to ask for.
            prediction = replace(prediction, id=own_id(attempt.number, attempt.seed))
        elif not prediction.certain and not (prediction.ended and prediction.outputs):
            await self._record_unconfirmed(attempt, prediction, sent_at)
            return
        await self._record_accepted(attempt, prediction, sent_at)

    async def _record_unconfirmed(self, attempt: Attempt, prediction: Prediction, sent_at: float) -> None:
        """Keep an id that the answer seems to name, and ask for its prediction before the row runs."""
        context = self._context
        with self._telling_of_id(attempt, prediction):
            attempt = await context.ledger.record_unconfirmed(attempt, prediction)
        try:
            # A user who stops the run waits for this answer, so that it must not wait long for its turn.
            with anyio.fail_after(context.settings.answer_timeout):
                prediction = await context.lookup.confirm_prediction(attempt)
        except (NotFound, TransientError, ServiceRefused, TimeoutError) as error:
            why = str(error) or "the service was not asked for it in time"
            text = f"its answer seems to name prediction {attempt.prediction_id}: {why}"
            await self.record_lost(attempt, AnswerLost(text, acknowledged=True), sent_at=sent_at)
        else:
            await self._record_accepted(attempt, prediction, sent_at)

    @contextmanager
    def _telling_of_id(self, attempt: Attempt, prediction: Prediction) -> Iterator[None]:
        """Tell the person of an id that the ledger could not note: only they can look for it."""
        try:
            yield
        except LedgerFailed:
            told = f"{attempt.id}: accepted as {prediction.id}, which the ledger could not note"
            self._context.log.notice(told, Level.ERROR)
            raise

    async def _record_accepted(self, attempt: Attempt, prediction: Prediction, sent_at: float) -> None:
        context = self._context
        prediction = context.lookup.name_outputs(attempt, prediction)
        # The id before anything else can fail: a prediction that we forget is paid for twice.
        with self._telling_of_id(attempt, prediction):
            attempt = await context.ledger.record_accepted(attempt, prediction)
        if (trouble := context.ledger.record_trouble) is not None:
            told = f"{attempt.id}: accepted as {prediction.id}, which only the ledger could note: {trouble}"
            context.log.notice(told, Level.WARNING)
        self._gate.record_accepted(context.clock.now() - sent_at)
        self.allowance.report_change()
        self._pauses.end()
        self.count_attempt(attempt, settled=True)
        context.log.debug(f"{attempt.id}: accepted as {prediction.id} (attempt {attempt.number})")
        self._accepted(attempt, prediction)

    def count_attempt(self, attempt: Attempt, *, settled: bool) -> None:
        """Count an attempt for --limit, once. Not *settled*: its create is sent again before the run ends."""
        limit = self._context.settings.limit
        if attempt.number not in self._counted:
            self._counted.add(attempt.number)
            self._gate.count_submitted()
        if not settled:
            return
        self._counted.discard(attempt.number)
        self.submitted += 1
        if limit is not None and self.submitted >= limit:
            self._stopping.stop_submitting(f"--limit {limit} reached")

    def is_counted(self, attempt: Attempt) -> bool:
        """Whether an attempt whose create is sent again counts for --limit already."""
        return attempt.number in self._counted

    async def record_trouble(self, attempt: Attempt, error: Exception) -> Attempt | None:
        """The first create of *attempt* has no prediction for an answer: one of TROUBLES.

        Return the attempt where the same create is to be sent again.
        """
        if isinstance(error, RowRejected | ServiceRefused):
            named = addresses_named(attempt.sent, str(error))
            await self._context.ledger.forget_uploads(attempt.origin, named)
        match error:
            case AnswerLost():
                return await self.record_lost(attempt, error, sent_at=attempt.intended_at)
            case RowRejected():
                await self._context.ledger.record_rejected(attempt, str(error))
                self._context.fail_row(attempt.id, str(error))
            case ServiceRefused():
                await self._record_service_refusal(attempt, error)
            case Throttled() | Unavailable() | NotSent():
                await self._context.ledger.record_refused(attempt, str(error), due_at=0)
                self.slow_down(attempt, error, sent_at=attempt.intended_at)
        return None

    def slow_down(
        self, attempt: Attempt, error: Throttled | Unavailable | NotSent, *, sent_at: float
    ) -> None:
        """Make the creates to come wait: this one made nothing."""
        context, breaker, now = self._context, self._gate.breaker, self._context.clock.now()
        new = not breaker.half_open
        match error:
            case Throttled():
                context.creates.throttled(error.wait)
                if error.per_minute is not None:
                    self.allowance.report_stated(error.per_minute)
                self._pauses.add_pause(error, context.creates.paused_until - anyio.current_time())
                context.log.debug(f"{attempt.id}: {error}")
            case Unavailable():
                end = breaker.unavailable(now, intended_at=sent_at)
                if error.wait is not None:
                    context.creates.throttled(error.wait)
                self._say(f"{attempt.id}: {error}; nothing was made, trying again", new=new)
                if end:
                    self._stopping.stop_submitting(str(error), refused=True)
            case NotSent():
                breaker.record_failure(now)
                self._say(f"{error}; nothing was sent, trying again", new=new)

    def refuse_resend(self, attempt: Attempt, error: RowRejected | ServiceRefused) -> None:
        """A create that was sent again is refused: that says nothing of what the first one made."""
        text = f"{attempt.id}: sent again with its key, and refused: {error}; it is looked up instead"
        self._context.log.notice(text, Level.WARNING)
        if isinstance(error, ServiceRefused) and self._after_refusal(attempt, error) is AfterRefusal.END:
            self._stopping.stop_submitting(str(error), refused=True)

    def _after_refusal(self, attempt: Attempt, error: ServiceRefused) -> AfterRefusal:
        accepted = self._context.ledger.last_accepted is not None
        now = self._context.clock.now()
        return self._refused_rows.add_refusal(attempt.key, error, now=now, any_accepted=accepted)

    async def _record_service_refusal(self, attempt: Attempt, error: ServiceRefused) -> None:
        """Let others go first: it may be about this row. It is not where it was so for others, or for all."""
        context, now = self._context, self._context.clock.now()
        accepted = context.ledger.last_accepted is not None
        wait = context.timings.refused_create
        match self._after_refusal(attempt, error):
            case AfterRefusal.END:
                # The record gives room to the next row, which is not to come by then.
                self._stopping.stop_submitting(str(error), refused=True)
                await context.ledger.record_refused(attempt, str(error), due_at=now + wait if accepted else 0)
            case AfterRefusal.FAIL:
                await context.ledger.record_rejected(attempt, str(error))
                self._context.fail_row(attempt.id, str(error))
            case AfterRefusal.WAIT:
                await context.ledger.record_refused(attempt, str(error), due_at=now + wait)
                text = f"{attempt.id}: {error}; others go first, and it is asked once more in {wait:.0f} s"
                context.log.notice(text, Level.WARNING)

    async def record_lost(self, attempt: Attempt, error: AnswerLost, *, sent_at: float) -> Attempt | None:
        """The answer is lost, to a request that left *sent_at*: it may have been taken.

        Return the attempt where the same create is to be sent again; else recovery is told of it.
        """
        context, breaker, now = self._context, self._gate.breaker, self._context.clock.now()
        acknowledged = error.acknowledged
        lost = await context.ledger.record_answer_lost(
            attempt, str(error), acknowledged=acknowledged, answer=error.kept
        )
        again = self.may_resend(lost)
        self.count_attempt(lost, settled=not again)
        new = acknowledged or not breaker.half_open
        why = breaker.lost(now, intended_at=sent_at, unread=acknowledged)
        what = (
            "it is sent again with its key" if again else "it may have been taken, so it is looked up first"
        )
        self._say(f"{attempt.id}: {error}; {what}", new=new)
        if error.refused and context.ledger.last_accepted is None:
            self._stopping.stop_submitting(str(error), refused=True)
        elif why is not None:
            self._stopping.stop_submitting(f"{why}, and each may have to be paid for; the last: {error}")
        if again:
            return lost
        self._lost(lost)
        return None

    def may_resend(self, attempt: Attempt) -> bool:
        """Whether the user and the attempt allow that its create is sent again."""
        context = self._context
        return context.settings.idempotent and may_resend(
            attempt,
            base=context.settings.base,
            kept=context.service.facts.keys_kept,
            now=context.clock.now(),
            offset=context.service.clock_offset,
        )

    def hand_over(self, attempt: Attempt) -> None:
        """Have an attempt looked up whose create is not sent again after all."""
        if self.is_counted(attempt):
            self.count_attempt(attempt, settled=True)
        self._lost(attempt)

    def _say(self, text: str, *, new: bool) -> None:
        """Tell trouble: that which is *new* to the person who watches, the rest to the log."""
        self._context.log.notice(text, Level.WARNING if new else Level.DEBUG)
