"""How a prediction ended becomes its row's state: to be collected, tried again, canceled or failed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

from batchfill.domain.rows import Outcome, inline_bytes
from batchfill.providers.error_text import addresses_named
from batchfill.run.poll import retry_policy

if TYPE_CHECKING:
    from batchfill.domain.predictions import Prediction
    from batchfill.domain.rows import Attempt
    from batchfill.run.context import RunContext


class OutcomeRecorder:
    """Records ends."""

    def __init__(self, context: RunContext) -> None:
        self._context = context

    async def record_outcome(self, attempt: Attempt, prediction: Prediction) -> None:
        """Record how *prediction* ended, which it has."""
        with anyio.CancelScope(shield=True):
            if prediction.status == "succeeded":
                await self._record_succeeded(attempt, prediction)
            else:
                await self._record_failed(attempt, prediction)

    async def _record_succeeded(self, attempt: Attempt, prediction: Prediction) -> None:
        context = self._context
        named = context.lookup.name_outputs(attempt, prediction)
        await context.ledger.record_succeeded(attempt, named)
        context.stopping.streak.record_success()
        run_time = prediction.run_time(at_most=context.clock.now() - attempt.intended_at)
        if run_time is not None:
            context.run_times.add_run_time(run_time)

    async def _record_failed(self, attempt: Attempt, prediction: Prediction) -> None:
        context = self._context
        asker = attempt.cancel_asked or self._told_to_stop(attempt, prediction)
        error = prediction.error or _in_words(prediction.status, asker)
        failure = self._failure(attempt, prediction.status, error, asker)
        again = retry_policy.decide_retry(failure, context.timings.attempt_retry)
        charged = prediction.status in context.service.facts.charged_ends
        # A gateway may call canceled failed; what was asked to stop may be charged, so it keeps counting.
        charged = charged or (asker is not None and prediction.status == "failed")
        retry_at = None if again is None else context.clock.now() + again.wait
        await context.ledger.forget_uploads(attempt.origin, addresses_named(attempt.sent, error))
        await context.ledger.record_failed(
            attempt,
            prediction.status,
            error,
            outcome=Outcome.CANCELED if charged else Outcome.FAILED,
            retry_at=retry_at,
            by_user=failure.by_user,
        )
        self._tell_failed(attempt, error, again)

    def _failure(self, attempt: Attempt, status: str, error: str, asker: str | None) -> retry_policy.Failure:
        return retry_policy.Failure(
            status=status,
            error=error,
            tries=attempt.tries,
            attempts=self._context.settings.attempts,
            fixed_seed=not attempt.own_seed,
            inline_bytes=inline_bytes(attempt.sent),
            cancel_asked=asker,
        )

    def _told_to_stop(self, attempt: Attempt, prediction: Prediction) -> str | None:
        """Return `time-out` for what the service stopped by itself when the time that we gave it was over."""
        known = self._context.clock.now() - (attempt.accepted_at or attempt.intended_at)
        told = prediction.run_time(at_most=known + 1)
        lasted = known if told is None else told
        # It is told whole seconds.
        over = lasted >= self._context.settings.prediction_timeout - 1
        # A gateway may call canceled failed, and then there is nothing to say of it.
        stopped = prediction.status == "canceled" or (prediction.status == "failed" and not prediction.error)
        return "time-out" if stopped and over else None

    def _tell_failed(self, attempt: Attempt, error: str, again: retry_policy.RetryDecision | None) -> None:
        if again is not None:
            self._context.log.debug(f"{attempt.id}: {error}; again in {again.wait:.0f} s")
            return
        self._context.log.row_failed(attempt.id, error)
        if attempt.cancel_asked != "user":
            self._context.stopping.record_failure(error)


def _in_words(status: str, asker: str | None) -> str:
    if status == "aborted":
        return "aborted: the service did not start it in time"
    by = {"user": "at your request", "time-out": "because it passed --prediction-timeout"}.get(asker or "")
    return f"{status} {by}" if by else f"{status}, and the service gave no reason"
