"""Rows that are due become predictions: intent on disk, one POST, its answer on disk."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio

from batchfill.domain.progress import Weight
from batchfill.errors import (
    AnswerLost,
    BatchStopped,
    FolderFailed,
    LedgerFailed,
    MachineFailed,
    NoAnswer,
    NotSent,
    RowRejected,
    ServiceRefused,
    Throttled,
    TryAgain,
    short_of_something,
)
from batchfill.run.submit.admission import Gate
from batchfill.run.submit.inputs import Prepared, Preparing, as_asked_now, forget_named
from batchfill.run.submit.rate_report import Allowance

if TYPE_CHECKING:
    from collections.abc import Callable

    from batchfill.domain.predictions import Prediction
    from batchfill.domain.rows import Attempt, Due
    from batchfill.run.context import Tools
    from batchfill.run.shutdown import Alike, Stopping
    from batchfill.run.submit.admission import Hold

LANES = 16
"""Rows that are prepared or submitted at once."""

UPLOADS = 6
"""Errors of the files call until a row fails."""

UPLOAD_WAIT = 5.0
"""Seconds until a row whose file could not be uploaded is tried again; doubled each time."""


class Submitting:
    """The stage that pays."""

    def __init__(
        self,
        tools: Tools,
        stopping: Stopping,
        alike: Alike,
        *,
        hold: Callable[[], Hold | None],
        accepted: Callable[[Attempt, Prediction], None],
        lost: Callable[[Attempt], None],
        run_time: Callable[[], float | None],
    ) -> None:
        """*hold* says why nothing may be submitted now, and for how long at most; None: go on.

        *accepted* and *lost* are told what became of each POST. *run_time*: as for the Gate.
        """
        self._tools = tools
        self._stopping = stopping
        self._alike = alike
        self._accepted = accepted
        self._lost = lost
        self._preparing = Preparing(tools)
        self._claimed: set[str] = set()
        self._unready: dict[str, int] = {}
        self._waiting_rows: list[Due] = []
        self._taking = anyio.Lock(fast_acquire=True)
        self.open: dict[int, Attempt] = {}
        """Attempts whose POST is not answered yet, by number."""
        self.gate = Gate(tools, hold, unanswered=lambda: len(self.open), run_time=run_time)
        self.allowance = Allowance(tools)
        self.refused: str | None = None
        """Why no intent can be recorded for now; None: as far as is known they can."""
        self.submitted = 0
        """Predictions that this run was given, and those that it may have been given."""

    @property
    def busy(self) -> bool:
        """Whether some row is between claim and record."""
        return bool(self._claimed)

    async def serve(self) -> None:
        """Submit what is due until the run stops submitting; POSTs that are open then are seen through."""
        if self._stopping.because is not None:
            return
        left = self._tools.settings.limit
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as lanes:
                lanes.start_soon(self._cancel_when_stopped, scope)
                for _ in range(LANES if left is None else min(LANES, left)):
                    lanes.start_soon(self._lane)

    async def _cancel_when_stopped(self, scope: anyio.CancelScope) -> None:
        while self._stopping.because is None:
            await self._stopping.bell.wait(self._stopping.bell.rung)
        scope.cancel()

    async def _lane(self) -> None:
        while True:
            due = as_asked_now(await self._take(), self._tools.model)
            try:
                await self._carry(due)
            finally:
                self._claimed.discard(due.key)
                self.gate.bell.ring()
                self._stopping.bell.ring()

    async def _take(self) -> Due:
        """Wait for a row that is due and that no other lane has."""
        async with self._taking:
            while not self._waiting_rows:
                # What comes due while the ledger is asked is after this look.
                seen, looked = self.gate.bell.rung, self._tools.clock.now()
                found = await self._tools.ledger.due(LANES + len(self._claimed))
                self._waiting_rows = [due for due in found if due.key not in self._claimed]
                if not self._waiting_rows:
                    await self.gate.bell.wait(seen, await self._until_due(looked))
            due = self._waiting_rows.pop(0)
            self._claimed.add(due.key)
            return due

    async def _until_due(self, looked: float) -> float | None:
        at = await self._tools.ledger.next_due_at(looked)
        return None if at is None else max(0.0, at - self._tools.clock.now()) + 0.01

    async def _carry(self, due: Due) -> None:
        try:
            with short_of_something():
                prepared = await self._preparing.prepare(due)
        except RowRejected as error:
            await self._tools.ledger.record_unusable(due, str(error))
            self._fail(due.id, str(error))
            return
        except TryAgain as error:
            await self._put_off(due, error)
            return
        except ServiceRefused as error:
            self._stopping.submits(str(error), refused=True)
            return
        await self.gate.enter()
        try:
            # An intent without its POST, or a POST without its record, would be a doubt of our own making.
            with anyio.CancelScope(shield=True):
                await self._pay(due, prepared)
        finally:
            self.gate.leave()

    async def _put_off(self, due: Due, error: TryAgain) -> None:
        """A file could not be given to the provider: others go first, and after some tries the row fails.

        Where this machine is at fault, no row is, and submitting ends.
        """
        times = self._unready.pop(due.key, 0) + (not isinstance(error, NoAnswer | Throttled))
        if times >= UPLOADS and isinstance(error, MachineFailed):
            self._stopping.submits(f"rows cannot be made ready: {error}")
            return
        if times >= UPLOADS:
            await self._tools.ledger.record_unusable(due, f"its files could not be uploaded: {error}")
            self._fail(due.id, f"its files could not be uploaded: {error}")
            return
        self._unready[due.key] = times
        wait = max(error.wait or 0.0, UPLOAD_WAIT * 2**times)
        await self._tools.ledger.record_unready(due, str(error), due_at=self._tools.clock.now() + wait)
        self._tools.telling.log(f"{due.id}: {error}; again in {wait:.0f} s")

    async def _pay(self, due: Due, prepared: Prepared) -> None:
        tools = self._tools
        try:
            attempt = await self._intend(due, prepared)
        except FolderFailed as error:
            self.refused = str(error)  # the row is pending still, and the gate waits for room
            return
        except BatchStopped as error:
            self._stopping.submits(str(error))
            return
        if attempt is None:
            return
        self.open[attempt.number] = attempt
        try:
            inputs = self._seeded(prepared.inputs, attempt.seed)
            timeout = tools.settings.prediction_timeout
            prediction = await tools.service.create(tools.settings.model, inputs, cancel_after=timeout)
            await self._record_accepted(attempt, prediction)
        except (Throttled, NotSent, RowRejected, ServiceRefused, AnswerLost) as error:
            await self._record_trouble(attempt, error)
        finally:
            del self.open[attempt.number]

    async def _intend(self, due: Due, prepared: Prepared) -> Attempt | None:
        tools = self._tools
        field = tools.model.seed_field
        own = field is not None and not due.inputs.get(field)
        offset = tools.service.clock_offset
        return await tools.ledger.record_intent(
            due,
            seed=int(due.inputs[field]) if field and not own else None,
            choose_seed=tools.chance.seed if own else None,
            origin=tools.settings.base,
            sent=lambda seed: self._seeded(prepared.noted, seed),
            service_time=None if offset is None else tools.clock.now() + offset,
            area=prepared.area,
        )

    def _seeded(self, inputs: Any, seed: int | None) -> dict[str, Any]:
        field = self._tools.model.seed_field
        return dict(inputs) if field is None or seed is None else {**inputs, field: seed}

    async def _record_accepted(self, attempt: Attempt, prediction: Prediction) -> None:
        tools = self._tools
        # The id before anything else can fail: a prediction that we forget is paid for twice.
        try:
            attempt = await tools.ledger.record_accepted(attempt, prediction)
        except LedgerFailed:
            told = f"{attempt.id}: accepted as {prediction.id}, which the ledger could not note"
            tools.telling.say(told, Weight.ERROR)
            raise
        if (trouble := tools.ledger.record_trouble) is not None:
            told = f"{attempt.id}: accepted as {prediction.id}, which only the ledger could note: {trouble}"
            tools.telling.say(told, Weight.WARNING)
        self.gate.accepted(tools.clock.now() - attempt.intended_at)
        self.allowance.look()
        self._count()
        tools.telling.log(f"{attempt.id}: accepted as {prediction.id} (attempt {attempt.number})")
        self._accepted(attempt, prediction)

    def _count(self) -> None:
        limit = self._tools.settings.limit
        self.gate.submitted()
        self.submitted += 1
        if limit is not None and self.submitted >= limit:
            self._stopping.submits(f"--limit {limit} reached")

    async def _record_trouble(self, attempt: Attempt, error: Exception) -> None:
        tools, now = self._tools, self._tools.clock.now()
        if isinstance(error, RowRejected | ServiceRefused):
            await forget_named(tools, attempt, str(error))
        match error:
            case Throttled():
                await tools.ledger.record_refused(attempt, str(error), due_at=0)
                tools.creates.throttled(error.wait)
                tools.telling.log(f"{attempt.id}: {error}")
            case NotSent():
                await tools.ledger.record_refused(attempt, str(error), due_at=0)
                new = not self.gate.care.careful
                self.gate.care.trouble(now)
                self._say(f"{error}; nothing was sent, trying again", new=new)
            case RowRejected():
                await tools.ledger.record_rejected(attempt, str(error))
                self._fail(attempt.id, str(error))
            case ServiceRefused():
                await tools.ledger.record_refused(attempt, str(error), due_at=0)
                self._stopping.submits(str(error), refused=True)
            case AnswerLost():
                await self._record_lost(attempt, error)

    async def _record_lost(self, attempt: Attempt, error: AnswerLost) -> None:
        tools, now = self._tools, self._tools.clock.now()
        acknowledged = error.acknowledged
        lost = await tools.ledger.record_answer_lost(attempt, str(error), acknowledged=acknowledged)
        self._count()
        new = acknowledged or not self.gate.care.careful
        why = self.gate.care.lost(now, intended_at=attempt.intended_at, unread=acknowledged)
        self._say(f"{attempt.id}: {error}; it may have been taken, so it is looked up first", new=new)
        if error.refused:
            self._stopping.submits(str(error), refused=True)
        elif why is not None:
            self._stopping.submits(f"{why}, and each may have to be paid for; the last: {error}")
        self._lost(lost)

    def _say(self, text: str, *, new: bool) -> None:
        """Tell trouble: that which is *new* to the person who watches, the rest to the log."""
        self._tools.telling.say(text, Weight.WARNING if new else Weight.QUIET)

    def _fail(self, id_: str, reason: str) -> None:
        self._tools.telling.failed(id_, reason)
        if self._alike.failed(reason):
            self._stopping.submits(f"ten rows in a row failed alike: {reason}")
