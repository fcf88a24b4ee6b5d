"""Rows that are due become predictions: intent on disk, one POST, its answer on disk."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import anyio

from batchfill.domain.progress import Level
from batchfill.domain.rows import RowState
from batchfill.errors import (
    BatchStopped,
    MachineFailed,
    NoAnswer,
    ObjectsRefused,
    RowRejected,
    ServiceRefused,
    StorageError,
    Throttled,
    TooLarge,
    TransientError,
    short_of_something,
)
from batchfill.run.submit.admission import AdmissionGate
from batchfill.run.submit.answers import TROUBLES, AnswerRecorder
from batchfill.run.submit.inputs import InputPreparer, apply_redo
from batchfill.run.submit.resender import Resender

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from batchfill.domain.predictions import Prediction
    from batchfill.domain.rows import Attempt, PendingRow, Prepared
    from batchfill.run.context import RunContext
    from batchfill.run.submit.admission import Block

WORKERS = 16
"""Rows that are prepared or submitted at once."""

WORKERS_OF_CLUSTER = 64
"""The same where a cluster makes rows ready: enough for 32 tasks at once."""

LOOKED_AHEAD = 64
"""Rows that the ledger is asked for at once."""

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
        self._preparer = InputPreparer(context)
        self._claimed: set[str] = set()
        self._unready: dict[str, int] = {}
        self._shrunk = False
        self._waiting_rows: list[PendingRow] = []
        self._taking = asyncio.Lock()
        self.open: dict[int, Attempt] = {}
        """Attempts whose POST is not answered yet, by number."""
        self.gate = AdmissionGate(context, hold, unanswered=self._count_unanswered)
        self.answers = AnswerRecorder(context, self.gate, accepted=accepted, lost=lost)
        self._resender = Resender(context, self.gate, self.answers, post=self._post, open_=self.open)
        self.refused: str | None = None
        """Why no intent can be recorded for now; None: as far as is known they can."""

    @property
    def busy(self) -> bool:
        """Whether some row is between claim and record."""
        return bool(self._claimed) or self._resender.waiting

    def _count_unanswered(self) -> int:
        return sum(attempt.state is RowState.SUBMITTING for attempt in self.open.values())

    def add_lost(self, attempts: Sequence[Attempt]) -> list[Attempt]:
        """Send again what of *attempts*, which earlier runs left, may be; return the others."""
        return self._resender.add_lost(attempts)

    async def serve_due(self) -> None:
        """Submit what is due until the run stops submitting; POSTs that are open then are seen through."""
        try:
            if self._stopping.because is None:
                await self._serve_workers()
        finally:
            self._resender.hand_over_all()

    async def _serve_workers(self) -> None:
        left = self._context.settings.limit
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as lanes:
                lanes.start_soon(self._cancel_when_stopped, scope)
                most = WORKERS if self._context.cluster is None else WORKERS_OF_CLUSTER
                for _ in range(most if left is None else min(most, left)):
                    lanes.start_soon(self._worker)

    async def _cancel_when_stopped(self, scope: anyio.CancelScope) -> None:
        while self._stopping.because is None:
            await self._stopping.changed.wait(self._stopping.changed.version)
        scope.cancel()

    async def _worker(self) -> None:
        # What was sent before goes first: it may be made already.
        while (lost := self._resender.take_lost()) is not None:
            await self._resender.resend_lost(lost, self._prepare_again)
            self._stopping.wakeup.notify()
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
                found = await self._context.ledger.due_rows(LOOKED_AHEAD + len(self._claimed))
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
            self._context.fail_row(due.id, str(error))
            return
        except TransientError as error:
            await self._put_off(due, error)
            return
        except (ServiceRefused, ObjectsRefused) as error:
            self._stopping.stop_submitting(str(error), refused=isinstance(error, ServiceRefused))
            return
        lost = None
        await self.gate.acquire()
        try:
            # Room and the end of submitting may come at once.
            if self._stopping.because is not None:
                return
            # An intent without its POST, or a POST without its record, would be a doubt of our own making.
            with anyio.CancelScope(shield=True):
                lost = await self._create(due, prepared)
        finally:
            self.gate.release()
        if lost is not None:
            await self._resender.resend(lost, prepared)

    async def _prepare_again(self, lost: Attempt) -> Prepared | None:
        """Return what was sent for *lost*; None where its row or its files are not what they were."""
        due = await self._context.ledger.row_to_resend(lost)
        if due is None:
            return None
        try:
            with short_of_something():
                return await self._preparer.prepare_inputs(apply_redo(due, self._context.model))
        except (RowRejected, TransientError, ServiceRefused, ObjectsRefused) as error:
            self._context.log.debug(f"{lost.id}: cannot be sent again: {error}")
            return None

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
            self._context.fail_row(due.id, f"its files could not be uploaded: {error}")
            return
        self._unready[due.key] = times
        wait = max(error.wait or 0.0, self._context.timings.upload_retry * 2**times)
        await self._context.ledger.record_unready(due, str(error), due_at=self._context.clock.now() + wait)
        self._context.log.debug(f"{due.id}: {error}; again in {wait:.0f} s")

    async def _create(self, due: PendingRow, prepared: Prepared) -> Attempt | None:
        """Return the attempt where its create is to be sent again."""
        try:
            attempt = await self._record_intent(due, prepared)
        except StorageError as error:
            self.refused = str(error)  # the row is pending still, and the gate waits for room
            return None
        except BatchStopped as error:
            self._stopping.stop_submitting(str(error))
            return None
        if attempt is None:
            return None
        self.open[attempt.number] = attempt
        try:
            made = await self._post(attempt, prepared)
            await self.answers.record_made(attempt, made, sent_at=attempt.intended_at)
        except TROUBLES as error:
            if isinstance(error, TooLarge) and self._preparer.shrink(prepared):
                await self._record_shrunk(attempt, error)
                return None
            return await self.answers.record_trouble(attempt, error)
        finally:
            del self.open[attempt.number]
        return None

    async def _post(self, attempt: Attempt, prepared: Prepared) -> Prediction:
        settings = self._context.settings
        inputs = self._context.model.with_seed(prepared.inputs, attempt.seed)
        return await self._context.service.create(
            settings.model,
            inputs,
            cancel_after=settings.prediction_timeout,
            key=attempt.idempotency_key,
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
            sent=lambda seed: context.model.with_seed(prepared.redacted, seed),
            service_time=None if offset is None else context.clock.now() + offset,
            area=prepared.area,
            idempotency_key=context.chance.key(),
        )

    async def _record_shrunk(self, attempt: Attempt, error: TooLarge) -> None:
        """Have the row made ready again, smaller: nothing was made, and no attempt is used up."""
        await self._context.ledger.record_refused(attempt, str(error), due_at=0)
        level = Level.DEBUG if self._shrunk else Level.WARNING
        self._context.log.notice(f"{error}: pictures inside the requests are made smaller", level)
        self._shrunk = True
