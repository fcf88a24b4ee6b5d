"""The ledger's events: one method each, on disk before it returns. Those of outputs are apart."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import replace
from typing import TYPE_CHECKING

from batchfill.domain.rows import Outcome, RowState
from batchfill.errors import AnswerLost, LedgerFailed, StorageError
from batchfill.ledger import ledger_rows, statements
from batchfill.ledger.output_events import OutputEvents, name_outputs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import Any

    from batchfill.domain.predictions import Prediction
    from batchfill.domain.review import DecisionFile
    from batchfill.domain.rows import Attempt, Box, LocalFile, PendingRow


class LedgerEvents(OutputEvents):
    """One method an event, on disk before it returns."""

    # Submit

    async def record_intent(
        self,
        due: PendingRow,
        *,
        seed: int | None,
        choose_seed: Callable[[], int] | None,
        origin: str,
        sent: Callable[[int | None], Mapping[str, Any]],
        service_time: float | None,
        area: Box | None = None,
        idempotency_key: str | None = None,
    ) -> Attempt | None:
        """Write the intention to pay for *due* and return it; None, with nothing written, if not pending.

        *choose_seed* draws a seed until one is unique in the ledger; None keeps *seed*, the row's own.
        *sent* gives the input to note for a seed, *area* is what is sent of the picture, *idempotency_key*
        goes with the create.
        Raises BudgetReached when the price would pass the cap, LedgerFailed when the ledger's file or its
        record was taken away, and StorageError, with the row pending as before, while their disk is full.
        """

        def event(db: sqlite3.Connection) -> Attempt | None:
            if not self._may_intend(db, due):
                return None
            chosen = seed if choose_seed is None else _unique_seed(db, choose_seed)
            values: dict[str, Any] = {
                "own_seed": choose_seed is not None,
                "origin": origin,
                "service_time": service_time,
                "idempotency_key": idempotency_key,
            }
            noted = ledger_rows.to_json(sent(chosen))
            return self._write_intent(db, due, area=area, seed=chosen, sent=noted, **values)

        # One that had to wait could come after its user has stopped the run.
        attempt = await self._writer.commit(event, put_off=False)
        if attempt is not None and (error := self._unrecorded.pop(attempt.number, None)) is not None:
            # The record holds no line of it, and needs none: nothing was sent.
            await self._record_event("record_refused", attempt, error=str(error), due_at=0)
            raise error
        return attempt

    def _may_intend(self, db: sqlite3.Connection, due: PendingRow) -> bool:
        if not self.in_place:
            raise LedgerFailed(f"{self.name} was taken away while the run went on")
        # Asked in the same transaction: whatever the callers believe, a row is never in flight twice.
        if statements.ask_value(db, "state_of", key=due.key) != RowState.PENDING:
            return False
        self._refuse_over_budget(db, due)
        return True

    def _write_intent(
        self, db: sqlite3.Connection, due: PendingRow, *, area: Box | None, seed: int | None, **values: Any
    ) -> Attempt:
        values |= {
            "key": due.key,
            "seed": seed,
            "outputs_asked": due.outputs_asked,
            "price": due.price,
            "anchor": self.last_accepted,
            "area": None if area is None else json.dumps(area),
            "prompt": due.redo and due.redo.prompt,
            "changed_inputs": ledger_rows.to_json(due.redo.inputs) if due.redo and due.redo.inputs else None,
            "now": self._now(),
        }
        statements.run_statements(db, "events", "record_intent", **values)
        attempt = ledger_rows.to_attempt(statements.ask_rows(db, "attempt_of", key=due.key)[0])
        told = {"key": due.key, "row": due.id, "at": values["now"], "seed": seed, "price": due.price}
        self._record_of_payments.intend(attempt.number, **told, area=area)
        self.intents += 1
        return attempt

    async def record_accepted(self, attempt: Attempt, prediction: Prediction) -> Attempt:
        """The service has it: the id comes before anything else. Return the attempt as it is now.

        Pictures that came at once are on disk with it, since no other answer may hold them.
        Raises AnswerLost when the id is another attempt's already, so that it cannot be this one's too.
        """

        made = prediction.status == "succeeded" and bool(prediction.outputs)

        def event(db: sqlite3.Connection) -> None:
            self._apply_event(db, "record_accepted", attempt, **_id_values(prediction))
            self._record_of_payments.accept(attempt.number, prediction.id)
            if made:
                self._apply_success(db, replace(attempt, prediction_id=prediction.id), prediction)

        await self._claim_id(event, prediction)
        self.last_accepted = prediction.id
        return replace(
            attempt,
            state=RowState.COLLECTING if made else RowState.RUNNING,
            prediction_id=prediction.id,
            created_at=prediction.created_at,
            accepted_at=self._now(),
            tries=attempt.tries + (attempt.state is not RowState.IN_DOUBT),
        )

    async def record_unconfirmed(self, attempt: Attempt, prediction: Prediction) -> Attempt:
        """An answer names a prediction in a place that is not documented. Return the attempt as it is now.

        The row stays `submitting` until the service was asked for it. Raises as `record_accepted`.
        """

        def event(db: sqlite3.Connection) -> None:
            self._apply_event(db, "record_unconfirmed", attempt, **_id_values(prediction))
            self._record_of_payments.accept(attempt.number, prediction.id, unconfirmed=True)

        await self._claim_id(event, prediction)
        return replace(
            attempt,
            prediction_id=prediction.id,
            created_at=prediction.created_at,
            lost_at=self._now(),
            acknowledged=True,
        )

    async def _claim_id(self, event: Callable[[sqlite3.Connection], None], prediction: Prediction) -> None:
        try:
            await self._writer.commit(event)
        except sqlite3.IntegrityError as error:
            text = f"the service answered with prediction {prediction.id}, which is another row's"
            raise AnswerLost(text, acknowledged=True) from error

    async def record_refused(self, attempt: Attempt, error: str, *, due_at: float) -> None:
        """Nothing was made and the row may be submitted again from *due_at*; costs no attempt."""
        await self._record_free("record_refused", attempt, error=error, due_at=due_at)

    async def record_rejected(self, attempt: Attempt, error: str) -> None:
        """Nothing was made and never will be of this row as it is."""
        await self._record_free("record_rejected", attempt, error=error)

    async def record_unready(self, due: PendingRow, error: str, *, due_at: float) -> None:
        """A row could not be made ready, before any intent; again at *due_at*."""
        values = {"key": due.key, "error": error, "due_at": due_at}
        await self._writer.commit(
            lambda db: statements.run_statements(db, "events", "record_unready", **values)
        )

    async def record_unusable(self, due: PendingRow, error: str) -> None:
        """A row failed before any intent: a file became unreadable, or is too large for the provider."""
        await self._writer.commit(
            lambda db: statements.run_statements(
                db, "events", "record_unusable", key=due.key, error=error, now=self._now()
            )
        )

    async def record_answer_lost(
        self, attempt: Attempt, error: str, *, acknowledged: bool = False, answer: str | None = None
    ) -> Attempt:
        """The POST may have been taken; recover will find out. Return the attempt as it is now.

        *acknowledged*: an answer said that it was, so that it is never taken for absent. *answer*: its
        beginning, where it was not understood.
        """
        values = {"error": error, "acknowledged": acknowledged, "answer": answer}
        await self._record_event("record_answer_lost", attempt, **values)
        return replace(attempt, lost_at=self._now(), acknowledged=acknowledged)

    async def record_resent(self, attempt: Attempt) -> Attempt:
        """The same create is about to go out again, with the same key. Return the attempt as it is now.

        Raises StorageError while the disk is full, or a mirror does not answer.
        """
        await self._writer.commit(lambda db: self._apply_event(db, "record_resent", attempt), put_off=False)
        if self.lack is not None:
            raise StorageError(self.lack)  # a take-over would not know of it
        return replace(attempt, resent_at=self._now(), absent_at=None)

    # Recover

    async def record_absent_once(self, attempt: Attempt) -> Attempt:
        """A first look found it surely absent; a second must agree. Return the attempt as it is now."""
        await self._record_event("record_absent_once", attempt)
        return replace(attempt, absent_at=attempt.absent_at or self._now())

    async def record_in_doubt(self, attempt: Attempt, error: str) -> None:
        """It may have been paid, and was not found out: held, never resent unasked."""
        await self._record_event("record_in_doubt", attempt, error=error)

    async def record_given_up(self, attempt: Attempt) -> None:
        """It stays in doubt, and the user wants its row submitted again: its price stays reserved."""
        await self._record_event("record_given_up", attempt)

    async def record_followed_again(self, attempt: Attempt) -> None:
        """The service knows a prediction in doubt after all."""
        await self._record_event("record_followed_again", attempt)

    # Follow

    async def record_cancel_asked(self, attempt: Attempt, by: str | None) -> Attempt:
        """The service is asked to cancel by `time-out` or `user`; None: it could not. Return it."""
        await self._record_event("record_cancel_asked", attempt, by=by)
        return replace(attempt, cancel_asked=by)

    async def record_succeeded(self, attempt: Attempt, prediction: Prediction) -> None:
        """Made and paid: its outputs are to be collected."""

        await self._writer.commit(lambda db: self._apply_success(db, attempt, prediction))

    def _apply_success(self, db: sqlite3.Connection, attempt: Attempt, prediction: Prediction) -> None:
        run_time = prediction.run_time(at_most=self._now() - attempt.intended_at)
        values = {"status": prediction.status, "run_time": run_time, "seed": prediction.seed}
        self._apply_event(db, "record_succeeded", attempt, **values)
        name_outputs(db, attempt, prediction.outputs)

    async def record_failed(
        self,
        attempt: Attempt,
        status: str,
        error: str,
        *,
        outcome: Outcome,
        retry_at: float | None,
        by_user: bool = False,
    ) -> None:
        """The service said no. The row is pending again from *retry_at*; None: failed for good.

        *by_user*: it is canceled then.
        """
        end = RowState.CANCELED if by_user else RowState.FAILED
        state = end if retry_at is None else RowState.PENDING
        record = self._record_free if outcome is Outcome.FAILED else self._record_event
        await record(
            "record_failed",
            attempt,
            status=status,
            error=error,
            outcome=outcome.value,
            state=state.value,
            due_at=retry_at or 0,
        )

    # Decide

    async def record_decisions(self, letters: Sequence[DecisionFile], *, there: Iterable[str]) -> None:
        """Take what was decided, in its order, from each letter that was not taken before.

        *there*: the names of all letters that may be met again; the others' are forgotten. What is said of
        predictions that are not ours is left out.
        """

        def event(db: sqlite3.Connection) -> None:
            for letter in letters:
                if statements.ask_value(db, "letter_taken", name=letter.name) is None:
                    statements.run_statements(db, "events", "record_letter", name=letter.name)
                    for ruling in letter.decisions:
                        values = ledger_rows.from_decision(ruling)
                        statements.run_statements(db, "events", "record_decision", **values)
            statements.run_statements(db, "events", "forget_letters", there=json.dumps(list(there)))

        await self._writer.commit(event)

    # Files

    async def record_upload(self, sha256: str, origin: str, url: str, expires_at: float) -> None:
        """The provider has this content until *expires_at*."""
        values = {"sha256": sha256, "origin": origin, "url": url, "expires_at": expires_at}
        await self._writer.commit(
            lambda db: statements.run_statements(db, "events", "record_upload", **values)
        )

    async def forget_uploads(self, origin: str, urls: Sequence[str]) -> None:
        """The service no longer has what was given to it at these addresses."""
        if not urls:
            return
        values = {"origin": origin, "urls": json.dumps(list(urls))}
        await self._writer.commit(
            lambda db: statements.run_statements(db, "events", "forget_uploads", **values)
        )

    async def record_digests(self, files: Iterable[LocalFile]) -> None:
        """Remember digests while files keep their stamp."""
        (statement,) = statements.load_statements("events")["record_digest"]
        values = [
            {"path": str(f.path), "stamp": ledger_rows.to_text(f.stamp), "sha256": f.sha256} for f in files
        ]
        await self._writer.commit(lambda db: db.executemany(statement, values))


def _id_values(prediction: Prediction) -> dict[str, Any]:
    return {
        "prediction_id": prediction.id,
        "status": prediction.status,
        "created_at": prediction.created_at,
    }


def _unique_seed(db: sqlite3.Connection, choose: Callable[[], int]) -> int:
    while statements.ask_value(db, "seed_taken", seed=(seed := choose())) is not None:
        pass
    return seed
