"""Creates whose answers were lost go out again: same key, same body, within the same attempt."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import anyio

from batchfill.domain.rows import RowState, is_sent_note
from batchfill.errors import (
    AnswerLost,
    NotSent,
    RowRejected,
    ServiceRefused,
    StorageError,
    Throttled,
    Unavailable,
)
from batchfill.ledger.ledger_rows import to_json
from batchfill.run.submit.answers import TROUBLES

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from batchfill.domain.predictions import Prediction
    from batchfill.domain.rows import Attempt, Prepared
    from batchfill.run.context import RunContext
    from batchfill.run.submit.admission import AdmissionGate
    from batchfill.run.submit.answers import AnswerRecorder

RESENDS = 3
"""Of one create in one run, whose answers are lost too; the next start goes on with it.

Fewer than the circuit breaker takes in a row: a provider may repeat an error by its key, and one row must not
end the submissions of all.
"""


class Resender:
    """Sends creates again, where the provider honours their keys.

    Until an answer says that it was made, the attempt stays lost: an answer to the second create says nothing
    of what the first one made.
    """

    def __init__(
        self,
        context: RunContext,
        gate: AdmissionGate,
        answers: AnswerRecorder,
        *,
        post: Callable[[Attempt, Prepared], Awaitable[Prediction]],
        open_: dict[int, Attempt],
    ) -> None:
        """*post* sends a create; *open_* holds the attempts whose POST is not answered yet, by number."""
        self._context = context
        self._gate = gate
        self._answers = answers
        self._post = post
        self._open = open_
        self._left: list[Attempt] = []
        self._resending = 0
        self._losses: Counter[int] = Counter()
        """Resends in this run whose answers were lost too, by the attempt's number."""

    @property
    def waiting(self) -> bool:
        """Whether an attempt of an earlier run is to be sent again."""
        return bool(self._left or self._resending)

    def add_lost(self, attempts: Iterable[Attempt]) -> list[Attempt]:
        """Take what of *attempts*, which earlier runs left, may be sent again; return the others."""
        others: list[Attempt] = []
        for attempt in attempts:
            (self._left if self._answers.may_resend(attempt) else others).append(attempt)
        return others

    def take_lost(self) -> Attempt | None:
        """Return the next attempt of an earlier run, for `resend_lost`; None: there is no other."""
        if not self._left:
            return None
        self._resending += 1
        return self._left.pop(0)

    def hand_over_all(self) -> None:
        """Have those looked up whose turn did not come."""
        while self._left:
            self._answers.hand_over(self._left.pop(0))

    async def resend_lost(
        self, lost: Attempt, prepare: Callable[[Attempt], Awaitable[Prepared | None]]
    ) -> None:
        """Send the create of an earlier run again; have it looked up where it would not be the same one."""
        left: Attempt | None = lost
        try:
            prepared = await prepare(lost)
            if prepared is not None and self._is_same(lost, prepared):
                left = None
                await self.resend(lost, prepared)
        finally:
            self._resending -= 1
            if left is not None:
                self._answers.hand_over(left)

    async def resend(self, lost: Attempt, prepared: Prepared) -> None:
        """Send the create of *lost* again until it is answered; else have it looked up."""
        left: Attempt | None = lost
        try:
            while left is not None and self._may_go_on(left):
                await self._gate.acquire_again(
                    held=left.state is RowState.SUBMITTING, counted=self._answers.is_counted(left)
                )
                try:
                    # It may have waited until its key was too old.
                    if not self._answers.may_resend(left):
                        break
                    sending, left = left, None
                    # As for the first one: a POST without its record would be a doubt of our own making.
                    with anyio.CancelScope(shield=True):
                        left = await self._send(sending, prepared)
                finally:
                    self._gate.release()
        finally:
            del self._losses[lost.number]
            if left is not None:
                self._answers.hand_over(left)

    def _may_go_on(self, left: Attempt) -> bool:
        return self._losses[left.number] < RESENDS and self._answers.may_resend(left)

    async def _send(self, attempt: Attempt, prepared: Prepared) -> Attempt | None:
        """Send one create; return its attempt where it is to be sent once more."""
        try:
            # Before it leaves, as an intent: what it makes may be seen only after the run has died.
            attempt = await self._context.ledger.record_resent(attempt)
        except StorageError as error:
            self._context.log.debug(f"{attempt.id}: not sent again: {error}")
            self._answers.hand_over(attempt)
            return None
        sent_at = self._context.clock.now()
        self._answers.count_attempt(attempt, settled=False)
        self._open[attempt.number] = attempt
        try:
            made = await self._post(attempt, prepared)
            await self._answers.record_made(attempt, made, sent_at=sent_at)
        except TROUBLES as error:
            return await self._go_on_after(attempt, error, sent_at)
        finally:
            del self._open[attempt.number]
        return None

    async def _go_on_after(self, attempt: Attempt, error: Exception, sent_at: float) -> Attempt | None:
        """Take in that a second create made nothing, which never proves that the first one did not."""
        match error:
            case AnswerLost():
                self._losses[attempt.number] += 1
                return await self._answers.record_lost(attempt, error, sent_at=sent_at)
            case RowRejected() | ServiceRefused():
                self._answers.refuse_resend(attempt, error)
                self._answers.hand_over(attempt)
                return None
            case Throttled() | Unavailable() | NotSent():
                self._answers.slow_down(attempt, error, sent_at=sent_at)
        return attempt

    def _is_same(self, lost: Attempt, prepared: Prepared) -> bool:
        """Whether the request would be the one that was sent, to the letter.

        A signed address is another one each time.
        """
        if any(isinstance(value, str) and is_sent_note(value) for value in prepared.redacted.values()):
            return False
        again = self._context.model.with_seed(prepared.redacted, lost.seed)
        return to_json(again) == to_json(lost.sent)
