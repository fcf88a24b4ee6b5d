"""The ledger's events: one method each, on disk before it returns."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

from batchfill.domain.predictions import match_addresses
from batchfill.domain.rows import Outcome, RowState
from batchfill.errors import AnswerLost, LedgerFailed
from batchfill.ledger import ledger_rows, statements
from batchfill.ledger.base import LedgerBase

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import Any

    from batchfill.domain.predictions import Output, Prediction
    from batchfill.domain.review import DecisionFile
    from batchfill.domain.rows import Attempt, Box, LocalFile, PendingRow


class LedgerEvents(LedgerBase):
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
    ) -> Attempt | None:
        """Write the intention to pay for *due* and return it; None, with nothing written, if not pending.

        *choose_seed* draws a seed until one is unique in the ledger; None keeps *seed*, the row's own.
        *sent* gives the input to note for a seed, *area* is what is sent of the picture.
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
            "now": self._now(),
        }
        statements.run_statements(db, "events", "record_intent", **values)
        number = db.execute("SELECT attempt FROM rows WHERE key = ?", (due.key,)).fetchone()[0]
        told = {"key": due.key, "row": due.id, "at": values["now"], "seed": seed, "price": due.price}
        self._record_of_payments.intend(number, **told, area=area)
        self.intents += 1
        return ledger_rows.to_attempt(statements.ask_rows(db, "attempt", number=number)[0])

    async def record_accepted(self, attempt: Attempt, prediction: Prediction) -> Attempt:
        """The service has it: the id comes before anything else. Return the attempt as it is now.

        Raises AnswerLost when the id is another attempt's already, so that it cannot be this one's too.
        """

        def event(db: sqlite3.Connection) -> None:
            values = {"status": prediction.status, "created_at": prediction.created_at}
            self._apply_event(db, "record_accepted", attempt, prediction_id=prediction.id, **values)
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
        self, attempt: Attempt, error: str, *, acknowledged: bool = False
    ) -> Attempt:
        """The POST may have been taken; recover will find out. Return the attempt as it is now.

        *acknowledged*: an answer said that it was, so that it is never taken for absent.
        """
        await self._record_event("record_answer_lost", attempt, error=error, acknowledged=acknowledged)
        return replace(attempt, lost_at=self._now(), acknowledged=acknowledged)

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

        def event(db: sqlite3.Connection) -> None:
            values = {"status": prediction.status, "run_time": _run_time(prediction), "seed": prediction.seed}
            self._apply_event(db, "record_succeeded", attempt, **values)
            _name_outputs(db, attempt, prediction.outputs)

        await self._writer.commit(event)

    async def record_failed(
        self, attempt: Attempt, status: str, error: str, *, outcome: Outcome, retry_at: float | None
    ) -> None:
        """The service said no. The row is pending again from *retry_at*; None: failed for good."""
        state = RowState.FAILED if retry_at is None else RowState.PENDING
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

    # Collect

    async def record_put_off(self, attempt: Attempt, error: str, *, due_at: float) -> None:
        """Fetching did not work; again at *due_at*."""
        await self._record_soon("record_put_off", attempt, error=error, due_at=due_at)

    async def record_urls(self, attempt: Attempt, urls: Sequence[str]) -> None:
        """The service named the outputs again."""

        await self._writer.commit(lambda db: _name_outputs(db, attempt, urls))

    async def record_planned(self, outputs: Sequence[Output]) -> None:
        """Files were fetched whole and are about to be put where *planned* says, with size and digest.

        Should we die between the rename and its record, what stands there can be known for ours.
        """

        def event(db: sqlite3.Connection) -> None:
            for output in outputs:
                values = {"planned": output.planned, "size": output.size, "sha256": output.sha256}
                statements.run_statements(db, "events", "record_planned", **_output_key(output), **values)

        await self._writer.commit(event, urgent=False)

    async def record_kept(self, attempt: Attempt, outputs: Sequence[Output]) -> None:
        """Outputs are, as the service sent them, where their *raw* says, for files to be made of them.

        Those that say nothing any more are to be fetched again. When none is left to be fetched, apart from
        what is lost, the row is to be finished.
        """

        def event(db: sqlite3.Connection) -> None:
            for output in outputs:
                values = {"raw": output.raw, "raw_sha256": output.raw_sha256}
                statements.run_statements(db, "events", "record_kept", **_output_key(output), **values)
            self._apply_event(db, "record_all_kept", attempt)

        await self._writer.commit(event, urgent=False)

    async def record_lost(self, attempt: Attempt, lost: Mapping[int, str]) -> None:
        """Outputs, by their numbers, will not come, and why."""

        def event(db: sqlite3.Connection) -> None:
            for n, why in lost.items():
                statements.run_statements(
                    db, "events", "record_lost", prediction_id=attempt.prediction_id, n=n, lost=why
                )

        await self._writer.commit(event)

    async def record_judged(self, outputs: Sequence[Output]) -> None:
        """The flags of *outputs* are known."""

        def event(db: sqlite3.Connection) -> None:
            for output in outputs:
                statements.run_statements(
                    db, "events", "record_judged", **_output_key(output), flags=" ".join(output.flags or ())
                )

        await self._writer.commit(event, urgent=False)

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
                values = ledger_rows.to_placed(output) | {"width": width, "height": height}
                statements.run_statements(db, "events", "record_placed", now=self._now(), **values)
            name = "record_saved" if more else "record_collected"
            self._apply_event(db, name, attempt, placed_id=placed_id, error=error)
            if statements.ask_value(db, "state_of", key=attempt.key) == RowState.DONE:
                self._record_files(db, attempt)

        await self._writer.commit(event, urgent=False)

    async def record_expired(self, attempt: Attempt, error: str) -> None:
        """Paid and made, but the service removed it before it was fetched."""
        await self._record_event("record_uncollected", attempt, state=RowState.EXPIRED.value, error=error)

    async def record_uncollectable(self, attempt: Attempt, error: str) -> None:
        """Paid and made, but no picture to fetch: a refused address, bytes that never decode."""
        await self._record_event("record_uncollected", attempt, state=RowState.FAILED.value, error=error)

    async def record_moved(self, output: Output, file: str) -> None:
        """A file was renamed, to *file* relative to the batch folder; its row may have to be named again."""
        await self._writer.commit(
            lambda db: statements.run_statements(
                db, "events", "record_moved", **_output_key(output), file=file
            )
        )

    async def record_renamed(self, attempt: Attempt) -> None:
        """Every file of the row bears its present id."""

        def event(db: sqlite3.Connection) -> None:
            self._apply_event(db, "record_renamed", attempt, placed_id=attempt.id)
            self._record_files(db, attempt)

        await self._writer.commit(event)

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
                        statements.run_statements(db, "events", "record_decision", **asdict(ruling))
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


def _name_outputs(db: sqlite3.Connection, attempt: Attempt, urls: Sequence[str]) -> None:
    id_ = attempt.prediction_id
    known = [ledger_rows.to_output(r) for r in statements.ask_rows(db, "outputs_of", prediction_id=id_)]
    for n, url in match_addresses(known, urls).items():
        statements.run_statements(db, "events", "record_output", prediction_id=id_, n=n, url=url)


def _output_key(output: Output) -> dict[str, Any]:
    return {"prediction_id": output.prediction_id, "n": output.n}


def _unique_seed(db: sqlite3.Connection, choose: Callable[[], int]) -> int:
    while statements.ask_value(db, "seed_taken", seed=(seed := choose())) is not None:
        pass
    return seed


def _run_time(prediction: Prediction) -> float | None:
    if prediction.completed_at is None or prediction.created_at is None:
        return None
    return max(0.0, prediction.completed_at - prediction.created_at)
