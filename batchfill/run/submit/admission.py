"""Admission of creates: bounds, circuit breaker, create concurrency and downloads first."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING

import anyio

from batchfill.domain.rows import RowState
from batchfill.wakeup import Wakeup

if TYPE_CHECKING:
    from collections.abc import Callable

    from batchfill.run.context import RunContext


Block = tuple[str | None, float | None]
"""Why a row has to wait, in words where a person should know, and for how many seconds at most."""


class AdmissionGate:
    """Lets a row in when one more prediction may be made; it stays inside until its answer is recorded."""

    def __init__(
        self, context: RunContext, hold: Callable[[], Block | None], *, unanswered: Callable[[], int]
    ) -> None:
        """*hold* says why nothing may be submitted now; None: go on.

        *unanswered* counts the open POSTs of rows that are submitting.
        """
        self._context = context
        self._hold = hold
        self._unanswered = unanswered
        self._concurrency = CreateConcurrency()
        self._line = anyio.Lock(fast_acquire=True)
        self._line_of_resends = anyio.Lock(fast_acquire=True)
        self._inside = 0
        self._submitted = 0
        self.breaker = CircuitBreaker(context.timings.first_pause)
        self.wakeup = Wakeup()
        """Rings when what the gate looks at may have changed."""
        self.waiting_for: str | None = None
        """Why rows are waiting, for the person who watches."""

    async def acquire(self) -> None:
        """Wait until one more prediction may be made, in the order of those who come, and take its place."""
        async with self._line:
            await self._take_place()

    async def acquire_again(self, *, held: bool, counted: bool) -> None:
        """Wait until a create may be sent once more, and take its place.

        *held*: its row counts as one in flight already. *counted*: it counts for --limit already. In a line
        of its own: a new row may wait for the very place that this one holds.
        """
        async with self._line_of_resends:
            await self._take_place(held=held, counted=counted)

    async def _take_place(self, **ours: bool) -> None:
        while True:
            await self._wait_for_room(**ours)
            if self.breaker.asks_first and not await self._service_answers():
                continue
            self._inside += 1
            try:
                await self._context.creates.acquire()
            except BaseException:
                self.release()
                raise
            # Whatever came up while this row waited for the pace counts too.
            if self._why_blocked(self._inside - 1, **ours) is None:
                return
            self.release()

    def release(self) -> None:
        """Give the place back: the ledger counts the prediction now, or there is none."""
        self._inside -= 1
        self.wakeup.notify()

    def count_submitted(self) -> None:
        """A prediction was made, or may have been: counts for --limit."""
        self._submitted += 1

    def record_accepted(self, seconds: float) -> None:
        """A create was accepted, *seconds* after its intent: ends the care after trouble."""
        self._concurrency.record_answer(seconds)
        self.breaker.record_success()
        self._context.creates.accepted()

    async def _service_answers(self) -> bool:
        """Ask what costs nothing, before a create that may be lost like the one before it."""
        context = self._context
        answers = await context.service.answers(context.ledger.last_accepted)
        if not answers:
            self.breaker.record_failure(context.clock.now())
        return answers

    async def _wait_for_room(self, **ours: bool) -> None:
        while True:
            seen = self.wakeup.version
            blocked = self._why_blocked(self._inside, **ours) or self._why_crowded()
            if blocked is None:
                self.waiting_for = None
                return
            self.waiting_for, seconds = blocked
            await self.wakeup.wait(seen, seconds)

    def _why_blocked(self, others: int, *, held: bool = False, counted: bool = False) -> Block | None:
        context = self._context
        limit = context.settings.limit
        if not counted and limit is not None and self._submitted + others >= limit:
            return None, None
        wait = self.breaker.seconds_to_wait(context.clock.now(), others)
        if wait != 0.0:
            return "the service to accept a row again after trouble", wait
        if not held and self._in_flight(others) >= context.settings.concurrency:
            return None, None
        return self._hold()

    def _in_flight(self, others: int) -> int:
        ledger = self._context.ledger
        # What was lost may be running; the ledger's other submitting rows are among those inside.
        lost = ledger.in_state(RowState.SUBMITTING) - self._unanswered()
        return ledger.running + lost + others

    def _why_crowded(self) -> Block | None:
        """Return what keeps a row out while as many creates are open as keep up with pace and bounds."""
        per_second = self._context.creates.per_minute / 60
        if run_time := self._context.run_times.expected:
            per_second = min(per_second, self._context.settings.concurrency / run_time)
        return (None, None) if self._inside >= self._concurrency.limit_for(per_second) else None


LONGEST_PAUSE = 60.0

MOST_LOST = 5
"""Answers lost in a row after which the next would be no other."""

MOST_UNAVAILABLE = 5
"""Creates in a row for which the service had no channel, or no such thing, free."""

MOST_UNREAD = 3
"""Creates in a row that were accepted in an answer that cannot be read: each may be a picture paid for."""


class CircuitBreaker:
    """Keeps an outage from putting a whole batch in doubt: creates are lost one at a time, and few in all."""

    def __init__(self, first_pause: float) -> None:
        self._first_pause = first_pause
        self._pause = first_pause
        self._until = 0.0
        self._lost = 0
        self._lost_at = 0.0
        self._unread = 0
        self._unavailable = 0
        self._unavailable_at = 0.0
        self.half_open = False
        """Whether creates go one at a time, after a pause; see `asks_first`."""

    def record_failure(self, now: float) -> None:
        """The service could not be reached."""
        if self.half_open and now < self._until:
            return  # its companions in flight failed with it: one outage, one pause
        self._until = now + self._pause
        self._pause = min(LONGEST_PAUSE, self._pause * 2)
        self.half_open = True

    def lost(self, now: float, *, intended_at: float, unread: bool) -> str | None:
        """A create's answer was lost, or (*unread*) came and cannot be used; return why to submit no more.

        *intended_at*: when that create was on its way, so that those that an outage took together count once.
        """
        if intended_at >= self._lost_at:
            self._lost, self._lost_at = self._lost + 1, now
        self._unread += unread
        self._unavailable = 0
        self.record_failure(now)
        if self._unread >= MOST_UNREAD:
            return f"{MOST_UNREAD} times the service accepted a row in an answer that cannot be read"
        if self._lost >= MOST_LOST:
            return f"the answers to {MOST_LOST} rows in a row were lost"
        return None

    def unavailable(self, now: float, *, intended_at: float) -> bool:
        """The service had nothing to run a row with; return whether that was so too often in a row."""
        if intended_at >= self._unavailable_at:
            self._unavailable, self._unavailable_at = self._unavailable + 1, now
        self.record_failure(now)
        return self._unavailable >= MOST_UNAVAILABLE

    @property
    def asks_first(self) -> bool:
        """Whether a free question has to be answered before the next create: that one may be lost, and paid.

        Where nothing was made, for want of a channel, the next create is as free, and says more.
        """
        return self.half_open and not self._unavailable

    def record_success(self) -> None:
        """A create was accepted: all is well again."""
        self.half_open = False
        self._pause = self._first_pause
        self._lost = self._unread = self._unavailable = 0

    def seconds_to_wait(self, now: float, creates_open: int) -> float | None:
        """Return how long the next create has to wait: 0.0 not at all, None until an open one is answered."""
        if not self.half_open:
            return 0.0
        if now < self._until:
            return self._until - now
        return None if creates_open else 0.0


CREATES_AT_ONCE = 8
"""Open at once at most, and so in doubt after one crash; enough for 600 a minute at 0.8 s each."""

SLACK = 2
"""Times as many as an even flow needs: predictions end, and are noticed, in bunches."""

_WEIGHT = 0.2
"""Of the newest answer in the time that is learned."""


class CreateConcurrency:
    """Learns how long a create takes to be answered and recorded."""

    def __init__(self) -> None:
        self._takes: float | None = None

    def record_answer(self, seconds: float) -> None:
        """Learn from an accepted create, *seconds* from its intent to its record."""
        self._takes = seconds if self._takes is None else (1 - _WEIGHT) * self._takes + _WEIGHT * seconds

    def limit_for(self, per_second: float) -> int:
        """Return how many have to be open to make so many *per_second*, with one more to begin meanwhile.

        Before the first answer it is one: that says how long they take, and whether they are accepted at all.
        """
        if self._takes is None:
            return 1
        # A clock that was set back in the meantime makes a time negative.
        return 1 + min(CREATES_AT_ONCE - 1, max(0, ceil(SLACK * per_second * self._takes)))
