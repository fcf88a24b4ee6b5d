"""One follower for all running predictions: each is asked for when it is expected to end."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

import anyio

from batchfill.errors import NotFound, NotOffered, ServiceRefused, TryAgain
from batchfill.run import retry
from batchfill.run.asking import ask
from batchfill.run.bell import Bell
from batchfill.run.prepare import inline_bytes
from batchfill.run.timing import LONGEST_GAP
from batchfill.values import Outcome, Weight

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from batchfill.run.alike import Alike
    from batchfill.run.stopping import Stopping
    from batchfill.run.timing import Timing
    from batchfill.run.tools import Tools
    from batchfill.values import Attempt, Prediction

ASKED_AT_ONCE = 32
LONGEST_REFUSAL = 600.0
"""Seconds of nothing but refusals after which there is no point in asking on."""

HOUR = 3600.0
"""How long the service keeps what it made."""


class Following:
    """The stage that watches."""

    def __init__(
        self, tools: Tools, stopping: Stopping, alike: Alike, timing: Timing, *, ended: Callable[[], None]
    ) -> None:
        """*ended* is called after every prediction that ended."""
        self._tools = tools
        self._stopping = stopping
        self._alike = alike
        self._timing = timing
        self._ended = ended
        self._running: dict[int, Attempt] = {}
        self._asked: dict[int, int] = {}
        self._refused_since: float | None = None
        self._queue: list[tuple[float, int]] = []
        self._at_once = anyio.CapacityLimiter(ASKED_AT_ONCE)
        self._bell = Bell()

    def add(self, attempt: Attempt) -> None:
        """Follow an attempt whose prediction's id is known."""
        self._running[attempt.number] = attempt
        self._asked[attempt.number] = 0
        age = self._tools.clock.now() - (attempt.accepted_at or attempt.intended_at)
        wait = 0.0 if self._stopping.cancel else self._timing.first_look() - max(0.0, age)
        self._ask_in(attempt, max(0.0, wait))

    def add_all(self, attempts: Iterable[Attempt]) -> None:
        """Follow what an earlier run left running."""
        for attempt in attempts:
            self.add(attempt)

    async def serve(self) -> None:
        """Ask for what is due, until cancelled."""
        async with anyio.create_task_group() as asking:
            asking.start_soon(self._cancel_on_request)
            while True:
                seen = self._bell.rung
                now = anyio.current_time()
                while self._queue and self._queue[0][0] <= now:
                    attempt = self._running.get(heapq.heappop(self._queue)[1])
                    if attempt is not None:
                        asking.start_soon(self._ask, attempt)
                await self._bell.wait(seen, self._queue[0][0] - now if self._queue else None)

    async def settle(self, attempt: Attempt, prediction: Prediction) -> bool:
        """Record how *prediction* ended; False when it has not."""
        if not prediction.ended:
            return False
        followed = self._running.pop(attempt.number, None)
        if followed is None:
            return True  # two answers came at once, to a question and to a cancel
        self._asked.pop(followed.number, None)
        attempt = followed  # it knows of a cancel that was asked for meanwhile
        with anyio.CancelScope(shield=True):
            if prediction.status == "succeeded":
                await self._record_succeeded(attempt, prediction)
            else:
                await self._record_failed(attempt, prediction)
        self._ended()
        return True

    async def _ask(self, attempt: Attempt) -> None:
        async with self._at_once:
            try:
                prediction = await ask(self._tools, attempt)
            except NotFound:
                await self._missing(attempt)
                return
            except TryAgain as error:
                self._tools.telling.log(f"{attempt.id}: {error}")
                self._again(attempt, at_least=error.wait or 0.0)
                return
            except ServiceRefused as error:
                self._refused(attempt, error)
                return
        self._refused_since = None
        if not await self.settle(attempt, prediction):
            await self._cancel_when_due(attempt)
            self._again(attempt)

    def _refused(self, attempt: Attempt, error: ServiceRefused) -> None:
        now = self._tools.clock.now()
        self._refused_since = self._refused_since or now
        if error.status == 401 or now - self._refused_since > LONGEST_REFUSAL:
            # Nothing more can be learned or fetched with this token: what runs stays running in the ledger.
            self._stopping.everything(str(error), refused=True)
            return
        self._stopping.submits(str(error), refused=True)
        self._again(attempt, at_least=LONGEST_GAP)

    def _again(self, attempt: Attempt, *, at_least: float = 0.0) -> None:
        asked = self._asked[attempt.number] = self._asked.get(attempt.number, 0) + 1
        self._ask_in(attempt, max(at_least, self._timing.next_look(asked)))

    def _ask_in(self, attempt: Attempt, seconds: float) -> None:
        heapq.heappush(self._queue, (anyio.current_time() + seconds, attempt.number))
        self._bell.ring()

    async def _missing(self, attempt: Attempt) -> None:
        """The service does not know a prediction that it gave us: perhaps not yet, perhaps a lagging copy."""
        age = self._tools.clock.now() - (attempt.accepted_at or attempt.intended_at)
        if age < HOUR:
            self._again(attempt)
            return
        self._running.pop(attempt.number, None)
        reason = f"the service no longer knows prediction {attempt.prediction_id}, which it accepted"
        await self._tools.ledger.record_in_doubt(attempt, reason)
        self._tools.telling.say(f"{attempt.id}: {reason}", Weight.WARNING)
        self._ended()

    async def _record_succeeded(self, attempt: Attempt, prediction: Prediction) -> None:
        await self._tools.ledger.record_succeeded(attempt, prediction)
        self._alike.succeeded()
        if prediction.completed_at is not None and prediction.created_at is not None:
            self._timing.ended(max(0.0, prediction.completed_at - prediction.created_at))

    async def _record_failed(self, attempt: Attempt, prediction: Prediction) -> None:
        tools = self._tools
        asker = attempt.cancel_asked or self._told_to_stop(attempt, prediction)
        error = prediction.error or _in_words(prediction.status, asker)
        again = retry.after(
            retry.Failure(
                status=prediction.status,
                error=error,
                tries=attempt.tries,
                attempts=tools.settings.attempts,
                fixed_seed=not attempt.own_seed,
                inline_bytes=inline_bytes(attempt.sent),
                cancel_asked=asker,
            )
        )
        # A gateway may call canceled failed; what was asked to stop may be charged, so it keeps counting.
        stopped = prediction.status == "canceled" or (asker and prediction.status == "failed")
        retry_at = None if again is None else tools.clock.now() + again.wait
        await tools.ledger.record_failed(
            attempt,
            prediction.status,
            error,
            outcome=Outcome.CANCELED if stopped else Outcome.FAILED,
            retry_at=retry_at,
        )
        self._tell_failed(attempt, error, again)

    def _told_to_stop(self, attempt: Attempt, prediction: Prediction) -> str | None:
        """Return `time-out` for what the service stopped by itself when the time that we gave it was over."""
        if prediction.created_at is not None and prediction.completed_at is not None:
            lasted = prediction.completed_at - prediction.created_at
        else:
            lasted = self._tools.clock.now() - (attempt.accepted_at or attempt.intended_at)
        # It is told whole seconds.
        over = lasted >= self._tools.settings.prediction_timeout - 1
        # A gateway may call canceled failed, and then there is nothing to say of it.
        stopped = prediction.status == "canceled" or (prediction.status == "failed" and not prediction.error)
        return "time-out" if stopped and over else None

    def _tell_failed(self, attempt: Attempt, error: str, again: retry.Again | None) -> None:
        if again is not None:
            self._tools.telling.log(f"{attempt.id}: {error}; again in {again.wait:.0f} s")
            return
        self._tools.telling.failed(attempt.id, error)
        if attempt.cancel_asked != "user" and self._alike.failed(error):
            self._stopping.submits(f"ten rows in a row failed alike: {error}")

    async def _cancel_when_due(self, asked: Attempt) -> None:
        attempt = self._running.get(asked.number)
        if attempt is None:
            return  # it ended meanwhile
        age = self._tools.clock.now() - (attempt.accepted_at or attempt.intended_at)
        if self._stopping.cancel and attempt.cancel_asked != "user":
            await self._cancel(attempt, "user")
        elif attempt.cancel_asked is None and age > self._tools.settings.prediction_timeout:
            await self._cancel(attempt, "time-out")

    async def _cancel_on_request(self) -> None:
        while not self._stopping.cancel:
            await self._stopping.bell.wait(self._stopping.bell.rung)
        async with anyio.create_task_group() as canceling:
            for attempt in list(self._running.values()):
                canceling.start_soon(self._cancel, attempt, "user")

    async def _cancel(self, attempt: Attempt, by: str) -> None:
        """Ask the service to stop it, and go on following: it may have succeeded all the same."""
        prediction_id = attempt.prediction_id
        assert prediction_id is not None
        attempt = await self._note_cancel(attempt, by)
        if attempt.number not in self._running:
            return  # it ended meanwhile
        try:
            prediction = await self._tools.service.cancel(prediction_id)
        except TryAgain as error:
            self._tools.telling.log(f"{attempt.id}: cancel: {error}; asked again with the next look")
            await self._note_cancel(attempt, None)
            return
        except (NotOffered, NotFound, ServiceRefused) as error:
            self._tools.telling.say(f"{attempt.id}: cannot be canceled: {error}", Weight.WARNING)
            return
        self._tools.telling.log(f"{attempt.id}: cancel asked ({by})")
        if prediction is not None:
            await self.settle(attempt, prediction)

    async def _note_cancel(self, attempt: Attempt, by: str | None) -> Attempt:
        attempt = await self._tools.ledger.record_cancel_asked(attempt, by)
        # What has ended since is not followed again.
        if attempt.number in self._running:
            self._running[attempt.number] = attempt
        return attempt


def _in_words(status: str, asker: str | None) -> str:
    if status == "aborted":
        return "aborted: the service did not start it in time"
    by = {"user": "at your request", "time-out": "because it passed --prediction-timeout"}.get(asker or "")
    return f"{status} {by}" if by else f"{status}, and the service gave no reason"
