"""One follower for all running predictions: each is looked at when it is expected to end."""

from __future__ import annotations

import asyncio
from math import inf
from typing import TYPE_CHECKING

import anyio

from batchfill.clock import loop_time
from batchfill.domain.progress import Level
from batchfill.domain.rows import inline_bytes
from batchfill.errors import (
    MachineFailed,
    NoAnswer,
    NotFound,
    NotOffered,
    ServiceRefused,
    Throttled,
    TransientError,
    short_of_something,
)
from batchfill.run.pause_report import PauseReport
from batchfill.run.poll.outcome import OutcomeRecorder
from batchfill.run.poll.schedule import PollSchedule, Tracked
from batchfill.wakeup import Wakeup

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from anyio.abc import TaskGroup

    from batchfill.domain.predictions import Prediction
    from batchfill.domain.rows import Attempt
    from batchfill.run.context import RunContext


ASKED_AT_ONCE = 32
MANY_UNREADABLE = 5
"""Answers in a row that cannot be read, of which a person is told."""

BULKY = 50_000
"""Characters of pictures inside a prediction's input above which no list is asked to send them back."""


class Poller:
    """The stage that watches."""

    def __init__(
        self, context: RunContext, *, made_room: Callable[[], None], ended: Callable[[], None]
    ) -> None:
        """*made_room* is called when a prediction is known to have ended, *ended* once that is on disk."""
        self._context = context
        self._stopping = context.stopping
        self._outcomes = OutcomeRecorder(context)
        self._made_room = made_room
        self._ended = ended
        self._schedule = PollSchedule(context.run_times)
        self._refusals = context.refusals
        self._pauses = PauseReport(context.log, context.clock, context.timings, "nothing is asked for")
        self._unreadable = 0
        """Answers in a row that could not be read."""
        self._at_once = asyncio.Semaphore(ASKED_AT_ONCE)
        self._wakeup = Wakeup()

    def add_attempt(self, attempt: Attempt) -> None:
        """Follow an attempt whose prediction's id is known."""
        age = max(0.0, self._context.clock.now() - (attempt.accepted_at or attempt.intended_at))
        began = -inf if self._stopping.cancel else loop_time() - age
        listable = attempt.created_at is not None and inline_bytes(attempt.sent) <= BULKY
        self._schedule.add_tracked(Tracked(attempt, began, listable=listable and not self._stopping.cancel))
        self._wakeup.notify()

    def add_all(self, attempts: Iterable[Attempt]) -> None:
        """Follow what an earlier run left running."""
        for attempt in attempts:
            self.add_attempt(attempt)

    async def serve_polls(self) -> None:
        """Look at what is due, until cancelled."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._cancel_on_request)
            while True:
                seen = self._wakeup.version
                look = self._schedule.next_batch(loop_time())
                if look.listed:
                    tasks.start_soon(self._poll_list, look.listed, tasks)
                for watched in look.asked:
                    tasks.start_soon(self._poll_one, watched)
                await self._wakeup.wait(seen, self._schedule.seconds_to_next(loop_time()))

    async def settle_prediction(self, attempt: Attempt, prediction: Prediction) -> bool:
        """Record how *prediction* ended; False when it has not."""
        if not prediction.ended:
            return False
        watched = self._schedule.forget_tracked(attempt.number)
        if watched is not None:  # else two answers came at once: to a question, a list, a cancel
            if watched.doubtful:
                await self._context.ledger.record_followed_again(watched.attempt)
            with self._context.ledger.ending(watched.attempt):
                # The next row need not wait for the disk: its intent goes there behind this end, or with it.
                self._made_room()
                # What is watched knows of a cancel that was asked for meanwhile.
                await self._outcomes.record_outcome(watched.attempt, prediction)
            self._wakeup.notify()
            self._ended()
        return True

    async def _poll_list(self, listed: Sequence[Tracked], tasks: TaskGroup) -> None:
        """Look at many in one list of the time in which they were made."""
        try:
            found = await self._read_list(listed)
        except (NotOffered, ServiceRefused) as error:
            # Some gateways forbid what they do not offer; a token that is refused is found out by asking.
            self._context.log.debug(f"following one by one: {error}")
            self._schedule.not_listed(loop_time(), never=True)
        except TransientError as error:
            self._context.log.debug(f"following by list: {error}")
            self._schedule.not_listed(loop_time(), never=False)
        else:
            await self._take_listed(listed, found, tasks)
        self._wakeup.notify()

    async def _take_listed(
        self, listed: Sequence[Tracked], found: Sequence[tuple[Tracked, Prediction]], tasks: TaskGroup
    ) -> None:
        ended = [(watched, item) for watched, item in found if _is_told(item)]
        self._schedule.note_list(listed, loop_time(), ended=len(ended))
        for watched, item in ended:
            tasks.start_soon(self.settle_prediction, watched.attempt, item)
        for watched, item in found:
            if not item.ended:
                await self._end_overdue(watched.attempt, f"the service says {item.status!r}")
            elif not _is_told(item) and self._schedule.claim(watched):
                tasks.start_soon(self._poll_one, watched)

    async def _read_list(self, listed: Sequence[Tracked]) -> list[tuple[Tracked, Prediction]]:
        by_id = {watched.attempt.prediction_id or "": watched for watched in listed}
        made = [watched.attempt.created_at or 0.0 for watched in listed]
        # A page more than they fill by themselves, for what others have made meanwhile.
        pages = len(listed) // 100 + 2
        with short_of_something():
            listing = await self._context.service.list(
                created_after=min(made), created_before=max(made), pages=pages, wanted=by_id
            )
        self._refusals.end()
        return [(by_id[item.id], item) for item in listing.items if item.id in by_id]

    async def _poll_one(self, watched: Tracked) -> None:
        attempt = watched.attempt
        async with self._at_once:
            try:
                with short_of_something():
                    prediction = await self._context.lookup.fetch_prediction(attempt)
            except NotFound:
                await self._handle_missing(watched)
                return
            except TransientError as error:
                await self._handle_unreadable(watched, error)
                return
            except ServiceRefused as error:
                self._handle_refusal(watched, error)
                return
        self._refusals.end()
        self._pauses.end()
        self._unreadable = 0
        if not await self.settle_prediction(attempt, prediction):
            await self._end_overdue(attempt, f"the service says {prediction.status!r}")
            self._poll_again(watched)

    async def _handle_unreadable(self, watched: Tracked, error: TransientError) -> None:
        attempt = watched.attempt
        unasked = isinstance(error, NoAnswer | MachineFailed)
        unread = not unasked and not isinstance(error, Throttled)
        self._unreadable += unread
        new = self._unreadable == MANY_UNREADABLE and unread
        text = f"{attempt.id}: {error}" + ("; asked again, as what it made is paid for" if new else "")
        self._context.log.notice(text, Level.WARNING if new else Level.DEBUG)
        if not unasked:
            await self._end_overdue(attempt, str(error))
        if error.wait:
            self._pauses.add_pause(error, error.wait)
        self._poll_again(watched, at_least=error.wait or 0.0)

    def _poll_again(self, watched: Tracked, *, at_least: float = 0.0) -> None:
        self._schedule.note_running(watched, loop_time(), at_least=at_least)
        self._wakeup.notify()

    def _handle_refusal(self, watched: Tracked, error: ServiceRefused) -> None:
        self._refusals.add_refusal(watched.attempt, error)
        self._poll_again(watched, at_least=self._context.timings.refused_poll_gap)

    async def _handle_missing(self, watched: Tracked) -> None:
        """The service does not know a prediction that it gave us: perhaps not yet, perhaps a lagging copy."""
        attempt = watched.attempt
        age = self._context.clock.now() - (attempt.accepted_at or attempt.intended_at)
        if age < self._context.service.facts.outputs_kept:
            self._poll_again(watched)
            return
        self._schedule.forget_tracked(attempt.number)
        reason = f"the service no longer knows prediction {attempt.prediction_id}, which it accepted"
        await self._context.ledger.record_in_doubt(attempt, reason)
        self._context.log.notice(f"{attempt.id}: {reason}", Level.WARNING)
        self._ended()

    async def _end_overdue(self, asked: Attempt, said: str) -> None:
        """Ask for a cancel where the prediction's time is over; some time later its row is in doubt.

        *said*: what the service says of it.
        """
        watched = self._schedule.find_tracked(asked.number)
        if watched is None:
            return  # it ended meanwhile
        attempt = watched.attempt
        age = self._context.clock.now() - (attempt.accepted_at or attempt.intended_at)
        if self._stopping.cancel and attempt.cancel_asked != "user":
            await self._request_cancel(watched, "user")
        elif attempt.cancel_asked is None and age > self._context.settings.prediction_timeout:
            await self._request_cancel(watched, "time-out")
        if age > self._context.settings.prediction_timeout:
            await self._doubt_overdue(watched, said)

    async def _doubt_overdue(self, watched: Tracked, said: str) -> None:
        now = loop_time()
        if watched.overdue_since is None:
            watched.overdue_since = now
        grace = self._context.timings.overdue_grace
        if watched.doubtful or now - watched.overdue_since < grace:
            return
        attempt = watched.attempt
        reason = f"prediction {attempt.prediction_id} ran past --prediction-timeout and did not end: {said}"
        watched.doubtful = True
        await self._context.ledger.record_in_doubt(attempt, reason)
        self._context.log.notice(f"{attempt.id}: in doubt: {reason}", Level.WARNING)
        self._ended()

    async def _cancel_on_request(self) -> None:
        while not self._stopping.cancel:
            await self._stopping.changed.wait(self._stopping.changed.version)
        async with anyio.create_task_group() as canceling:
            for watched in self._schedule:
                canceling.start_soon(self._request_cancel, watched, "user")

    async def _request_cancel(self, watched: Tracked, by: str) -> None:
        """Ask the service to stop it, and go on following: it may have succeeded all the same."""
        attempt = watched.attempt
        assert attempt.prediction_id is not None
        if not await self._note_cancel(watched, by):
            return  # it ended meanwhile
        try:
            with short_of_something():
                prediction = await self._context.service.cancel(attempt.prediction_id)
        except TransientError as error:
            self._context.log.debug(f"{attempt.id}: cancel: {error}; asked again with the next look")
            await self._note_cancel(watched, None)
            return
        except (NotOffered, NotFound, ServiceRefused) as error:
            self._context.log.notice(f"{attempt.id}: cannot be canceled: {error}", Level.WARNING)
            return
        self._context.log.debug(f"{attempt.id}: cancel asked ({by})")
        if prediction is not None:
            await self.settle_prediction(attempt, prediction)

    async def _note_cancel(self, watched: Tracked, by: str | None) -> bool:
        """Note who asked for a cancel; False when it has ended meanwhile."""
        watched.attempt = await self._context.ledger.record_cancel_asked(watched.attempt, by)
        return self._schedule.find_tracked(watched.attempt.number) is not None


def _is_told(item: Prediction) -> bool:
    """Whether a list tells all that there is to know of an end; else it is asked for by itself."""
    if item.status == "succeeded":
        return bool(item.outputs)
    return item.ended and item.error is not None
