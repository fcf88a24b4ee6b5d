"""One follower for all running predictions: each is looked at when it is expected to end."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

import anyio

from batchfill.domain.predictions import HOUR
from batchfill.domain.progress import Weight
from batchfill.domain.rows import inline_bytes
from batchfill.errors import NotFound, NotOffered, ServiceRefused, TryAgain, short_of_something
from batchfill.run.poll.run_times import LONGEST_GAP
from batchfill.run.poll.schedule import Looks, Watched
from batchfill.run.recover.matching import ask
from batchfill.run.wakeup import Bell

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from anyio.abc import TaskGroup

    from batchfill.domain.predictions import Prediction
    from batchfill.domain.rows import Attempt
    from batchfill.run.context import Tools
    from batchfill.run.poll.outcome import Settling
    from batchfill.run.poll.run_times import Timing
    from batchfill.run.shutdown import Stopping


ASKED_AT_ONCE = 32
LONGEST_REFUSAL = 600.0
"""Seconds of nothing but refusals after which there is no point in asking on."""

BULKY = 50_000
"""Characters of pictures inside a prediction's input above which no list is asked to send them back."""


class Following:
    """The stage that watches."""

    def __init__(
        self,
        tools: Tools,
        stopping: Stopping,
        settling: Settling,
        timing: Timing,
        *,
        ended: Callable[[], None],
    ) -> None:
        """*ended* is called after every prediction that ended."""
        self._tools = tools
        self._stopping = stopping
        self._settling = settling
        self._ended = ended
        self._looks = Looks(timing)
        self._refused_since: float | None = None
        self._at_once = anyio.CapacityLimiter(ASKED_AT_ONCE)
        self._bell = Bell()

    def add(self, attempt: Attempt) -> None:
        """Follow an attempt whose prediction's id is known."""
        age = max(0.0, self._tools.clock.now() - (attempt.accepted_at or attempt.intended_at))
        began = -inf if self._stopping.cancel else anyio.current_time() - age
        listable = attempt.created_at is not None and inline_bytes(attempt.sent) <= BULKY
        self._looks.add(Watched(attempt, began, listable=listable and not self._stopping.cancel))
        self._bell.ring()

    def add_all(self, attempts: Iterable[Attempt]) -> None:
        """Follow what an earlier run left running."""
        for attempt in attempts:
            self.add(attempt)

    async def serve(self) -> None:
        """Look at what is due, until cancelled."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._cancel_on_request)
            while True:
                seen = self._bell.rung
                look = self._looks.next(anyio.current_time())
                if look.listed:
                    tasks.start_soon(self._list, look.listed, tasks)
                for watched in look.asked:
                    tasks.start_soon(self._ask, watched)
                await self._bell.wait(seen, self._looks.wait(anyio.current_time()))

    async def settle(self, attempt: Attempt, prediction: Prediction) -> bool:
        """Record how *prediction* ended; False when it has not."""
        if not prediction.ended:
            return False
        watched = self._looks.forget(attempt.number)
        if watched is not None:  # else two answers came at once: to a question, a list, a cancel
            # What is watched knows of a cancel that was asked for meanwhile.
            await self._settling.settle(watched.attempt, prediction)
            self._bell.ring()
            self._ended()
        return True

    async def _list(self, listed: Sequence[Watched], tasks: TaskGroup) -> None:
        """Look at many in one list of the time in which they were made."""
        try:
            found = await self._listed(listed)
        except (NotOffered, ServiceRefused) as error:
            # Some gateways forbid what they do not offer; a token that is refused is found out by asking.
            self._tools.telling.log(f"following one by one: {error}")
            self._looks.not_listed(anyio.current_time(), never=True)
        except TryAgain as error:
            self._tools.telling.log(f"following by list: {error}")
            self._looks.not_listed(anyio.current_time(), never=False)
        else:
            ended = [(watched, item) for watched, item in found if _is_told(item)]
            self._looks.listed(listed, anyio.current_time(), ended=len(ended))
            for watched, item in ended:
                tasks.start_soon(self.settle, watched.attempt, item)
            for watched, item in found:
                if not item.ended:
                    await self._cancel_when_due(watched.attempt)
                elif not _is_told(item) and not watched.busy:
                    watched.busy = True
                    tasks.start_soon(self._ask, watched)
        self._bell.ring()

    async def _listed(self, listed: Sequence[Watched]) -> list[tuple[Watched, Prediction]]:
        by_id = {watched.attempt.prediction_id: watched for watched in listed}
        made = [watched.attempt.created_at or 0.0 for watched in listed]
        # A page more than they fill by themselves, for what others have made meanwhile.
        pages = len(listed) // 100 + 2
        with short_of_something():
            listing = await self._tools.service.list(
                created_after=min(made), created_before=max(made), pages=pages
            )
        self._refused_since = None
        return [(by_id[item.id], item) for item in listing.items if item.id in by_id]

    async def _ask(self, watched: Watched) -> None:
        attempt = watched.attempt
        async with self._at_once:
            try:
                with short_of_something():
                    prediction = await ask(self._tools, attempt)
            except NotFound:
                await self._missing(watched)
                return
            except TryAgain as error:
                self._tools.telling.log(f"{attempt.id}: {error}")
                self._again(watched, at_least=error.wait or 0.0)
                return
            except ServiceRefused as error:
                self._refused(watched, error)
                return
        self._refused_since = None
        if not await self.settle(attempt, prediction):
            await self._cancel_when_due(attempt)
            self._again(watched)

    def _again(self, watched: Watched, *, at_least: float = 0.0) -> None:
        self._looks.runs(watched, anyio.current_time(), at_least=at_least)
        self._bell.ring()

    def _refused(self, watched: Watched, error: ServiceRefused) -> None:
        now = self._tools.clock.now()
        self._refused_since = self._refused_since or now
        if error.status == 401 or now - self._refused_since > LONGEST_REFUSAL:
            # Nothing more can be learned or fetched with this token: what runs stays running in the ledger.
            self._stopping.everything(str(error), refused=True)
            return
        self._stopping.submits(str(error), refused=True)
        self._again(watched, at_least=LONGEST_GAP)

    async def _missing(self, watched: Watched) -> None:
        """The service does not know a prediction that it gave us: perhaps not yet, perhaps a lagging copy."""
        attempt = watched.attempt
        age = self._tools.clock.now() - (attempt.accepted_at or attempt.intended_at)
        if age < HOUR:
            self._again(watched)
            return
        self._looks.forget(attempt.number)
        reason = f"the service no longer knows prediction {attempt.prediction_id}, which it accepted"
        await self._tools.ledger.record_in_doubt(attempt, reason)
        self._tools.telling.say(f"{attempt.id}: {reason}", Weight.WARNING)
        self._ended()

    async def _cancel_when_due(self, asked: Attempt) -> None:
        watched = self._looks.find(asked.number)
        if watched is None:
            return  # it ended meanwhile
        attempt = watched.attempt
        age = self._tools.clock.now() - (attempt.accepted_at or attempt.intended_at)
        if self._stopping.cancel and attempt.cancel_asked != "user":
            await self._cancel(watched, "user")
        elif attempt.cancel_asked is None and age > self._tools.settings.prediction_timeout:
            await self._cancel(watched, "time-out")

    async def _cancel_on_request(self) -> None:
        while not self._stopping.cancel:
            await self._stopping.bell.wait(self._stopping.bell.rung)
        async with anyio.create_task_group() as canceling:
            for watched in self._looks:
                canceling.start_soon(self._cancel, watched, "user")

    async def _cancel(self, watched: Watched, by: str) -> None:
        """Ask the service to stop it, and go on following: it may have succeeded all the same."""
        attempt = watched.attempt
        assert attempt.prediction_id is not None
        if not await self._note_cancel(watched, by):
            return  # it ended meanwhile
        try:
            with short_of_something():
                prediction = await self._tools.service.cancel(attempt.prediction_id)
        except TryAgain as error:
            self._tools.telling.log(f"{attempt.id}: cancel: {error}; asked again with the next look")
            await self._note_cancel(watched, None)
            return
        except (NotOffered, NotFound, ServiceRefused) as error:
            self._tools.telling.say(f"{attempt.id}: cannot be canceled: {error}", Weight.WARNING)
            return
        self._tools.telling.log(f"{attempt.id}: cancel asked ({by})")
        if prediction is not None:
            await self.settle(attempt, prediction)

    async def _note_cancel(self, watched: Watched, by: str | None) -> bool:
        """Note who asked for a cancel; False when it has ended meanwhile."""
        watched.attempt = await self._tools.ledger.record_cancel_asked(watched.attempt, by)
        return self._looks.find(watched.attempt.number) is not None


def _is_told(item: Prediction) -> bool:
    """Whether a list tells all that there is to know of an end; else it is asked for by itself."""
    if item.status == "succeeded":
        return bool(item.outputs)
    return item.ended and item.error is not None
