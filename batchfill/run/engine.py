"""One run from its first claim to its last file: the stages side by side, and when they are done."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import anyio

from batchfill import filenames
from batchfill.domain.progress import Weight
from batchfill.domain.rows import OPEN, RowState
from batchfill.errors import BatchfillError, in_words
from batchfill.run.deadline import Until
from batchfill.run.download.downloader import Collecting
from batchfill.run.placement import Placing
from batchfill.run.poll.outcome import Settling
from batchfill.run.poll.poller import Following
from batchfill.run.poll.run_times import fetched_within
from batchfill.run.postprocess.postprocessor import Finishing
from batchfill.run.progress_meter import Lost, Measure
from batchfill.run.recover.reconciler import Recovering
from batchfill.run.run_log import tell_taken
from batchfill.run.shutdown import Alike
from batchfill.run.submit.disk_space import ASK_EVERY, Space
from batchfill.run.submit.submitter import Submitting
from batchfill.storage import inbox

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from batchfill.domain.predictions import Prediction
    from batchfill.domain.progress import Progress, Watcher
    from batchfill.domain.rows import Attempt
    from batchfill.run.context import Tools
    from batchfill.run.poll.run_times import Timing
    from batchfill.run.shutdown import Stopping

LEARNED_FROM = 64
BACKLOG = 2
"""Times the concurrency: predictions that may wait to be collected before submitting waits for them."""

LONGEST_WAIT_TO_COLLECT = 600.0
REFRESH = 0.25
"""Seconds between two reports of progress."""

LOOK_AT_CLOCK = 30.0
"""Seconds between two looks whether --until has come."""

ASK_INBOX = 0.5
"""Seconds between two looks for requests of other processes."""


@dataclass(frozen=True, slots=True)
class Ended:
    """What a night did."""

    submitted: int
    finished: int
    elapsed: float
    throttled: float
    """Seconds for which the service made creates wait."""
    held: float
    """Seconds for which fetching kept submits waiting."""


class Night:
    """The stages of one run, wired to each other."""

    def __init__(self, tools: Tools, stopping: Stopping, timing: Timing, watcher: Watcher | None) -> None:
        self._tools = tools
        self._stopping = stopping
        self._watcher = watcher
        self._timing = timing
        alike = Alike()
        many = sum(tools.ledger.counts.values()) > filenames.MANY_ROWS
        self._placing = Placing(tools, many=many)
        self._finishing = Finishing(tools, self._placing, finished=self._something_to_fetch)
        self._collecting = Collecting(
            tools, stopping, self._placing, self._finishing, collected=self._something_ended
        )
        settling = Settling(tools, stopping, alike, timing)
        self._following = Following(tools, stopping, settling, timing, ended=self._something_to_fetch)
        self._recovering = Recovering(
            tools,
            stopping,
            found=self._has_prediction,
            settled=self._something_ended,
            unanswered=lambda: self._submitting.open.values(),
        )
        self._submitting = Submitting(
            tools,
            stopping,
            alike,
            hold=self._hold,
            accepted=self._has_prediction,
            lost=self._recovering.add,
            run_time=lambda: timing.expected,
        )
        self._until = Until(tools.settings.until, tools.clock.now())
        self._space = Space(tools.shelf.folder, tools.telling)
        self._measure = Measure(tools.ledger.counts, tools.clock.now())
        self._held = Lost()
        self._stages = anyio.create_task_group()

    async def run(self) -> Ended:
        """Carry the batch as far as it goes. What ended it early is in the Stopping."""
        await self._load()
        async with self._stages as stages:
            await self._guarded(self._placing.rename_all)
            for serve in (self._collecting.serve, self._finishing.serve, self._following.serve):
                stages.start_soon(self._guarded, serve)
            stages.start_soon(self._guarded, self._recovering.serve)
            # What was made is fetched all the same.
            stages.start_soon(partial(self._guarded, self._submitting.serve, stop=self._stopping.submits))
            for serve in (self._read_inbox, self._watch_time):
                stages.start_soon(self._guarded, serve)
            await self._until_over()
            self._say_what_waits()
            stages.cancel_scope.cancel()
        self._report()
        counts, now = self._tools.ledger.counts, self._tools.clock.now()
        return Ended(
            self._submitting.submitted,
            self._measure.finished(counts),
            now - self._measure.began,
            throttled=self._tools.creates.throttled_for,
            held=self._held.total(anyio.current_time()),
        )

    async def _load(self) -> None:
        """Take up what earlier runs left: the ledger is the queue."""
        ledger = self._tools.ledger
        self._recovering.add_all(await ledger.open_attempts(RowState.SUBMITTING))
        doubtful = await ledger.open_attempts(RowState.IN_DOUBT)
        consented = self._consented(doubtful)
        self._recovering.add_consented(consented)
        self._recovering.add_all([attempt for attempt in doubtful if attempt not in consented])
        self._following.add_all(await ledger.open_attempts(RowState.RUNNING))

    def _consented(self, doubtful: Sequence[Attempt]) -> list[Attempt]:
        """Return those in doubt whose rows --retry wants submitted anew, should they not be found."""
        settings = self._tools.settings
        if RowState.IN_DOUBT not in settings.retry:
            return []
        ids = frozenset(map(filenames.fold, settings.ids))
        return [attempt for attempt in doubtful if not ids or filenames.fold(attempt.id) in ids]

    async def _guarded(
        self, serve: Callable[[], Awaitable[object]], *, stop: Callable[[str], None] | None = None
    ) -> None:
        """Run one stage; what it cannot carry on after ends the night, not the program.

        *stop* is told of what nobody expected; without it, that ends everything.
        """
        try:
            await serve()
        except* BatchfillError as group:
            self._stopping.everything(in_words(group))
        except* (
            Exception
        ) as group:  # the stages' boundary: nobody else hears of it while others wait for them
            words = f"the run cannot go on: {in_words(group)}"
            self._tools.telling.say(words, Weight.ERROR)
            (stop or self._stopping.everything)(words)

    async def _until_over(self) -> None:
        while not self._is_over():
            seen = self._stopping.bell.rung
            self._report()
            await self._stopping.bell.wait(seen, REFRESH)
        while self._submitting.open:
            await self._stopping.bell.wait(self._stopping.bell.rung, REFRESH)

    def _say_what_waits(self) -> None:
        ledger = self._tools.ledger
        if self._stopping.because is None and ledger.counts[RowState.PENDING] > ledger.to_submit:
            self._stopping.submits("only the rows named by --id were to run")

    def _is_over(self) -> bool:
        stopping, ledger = self._stopping, self._tools.ledger
        if stopping.at_once:
            return True
        submits = stopping.because is None and ledger.to_submit > 0
        # The next start recovers as well as this one: only a cancel has to know what runs now.
        recovers = self._recovering.waiting and (stopping.cancel or not stopping.by_user)
        # Nor need they wait for what could not be fetched at the first try.
        collects = self._collecting.fresh if stopping.by_user else self._collecting.waiting
        runs = ledger.in_state(RowState.RUNNING) + collects
        # What is fetched can be finished and judged by any later start.
        works = self._finishing.waiting or self._collecting.busy or not self._finishing.idle
        works = works and not stopping.by_user
        return not (submits or recovers or runs or works or self._submitting.busy)

    def _has_prediction(self, attempt: Attempt, prediction: Prediction) -> None:
        """A prediction is ours, newly made or found again."""
        self._following.add(attempt)
        if prediction.ended:
            self._stages.start_soon(self._guarded, partial(self._following.settle, attempt, prediction))

    def _something_to_fetch(self) -> None:
        self._collecting.bell.ring()
        self._something_ended()

    def _something_ended(self) -> None:
        self._submitting.gate.bell.ring()
        self._stopping.bell.ring()

    def _hold(self) -> tuple[str, float | None] | None:
        """Return why nothing may be submitted now, and how long to wait at most."""
        if (unwritten := self._tools.ledger.lack) is not None:
            return unwritten, ASK_EVERY
        largest = max(self._collecting.largest, self._finishing.largest)
        if self._submitting.refused and self._space.takes_files():
            self._submitting.refused = None
        refused = self._collecting.refused or self._finishing.refused or self._submitting.refused
        lack = self._space.lack(self._in_flight(), largest, refused)
        if lack is not None:
            if self._space.out_of_patience:
                self._stopping.submits(lack)
            return lack, ASK_EVERY
        first = self._fetch_first()
        self._held.note(waits=first is not None, now=anyio.current_time())
        return first

    def _in_flight(self) -> int:
        return sum(map(self._tools.ledger.in_state, OPEN))

    def _fetch_first(self) -> tuple[str, float | None] | None:
        now = self._tools.clock.now()
        if self._collecting.waiting > BACKLOG * self._tools.settings.concurrency:
            return "finished pictures to be fetched", None
        oldest = self._collecting.oldest
        if oldest is not None and now - oldest > LONGEST_WAIT_TO_COLLECT:
            return "a finished picture that could not be fetched yet", 5.0
        return None

    async def _read_inbox(self) -> None:
        # No event crosses processes on every system; a look at an empty folder costs microseconds.
        while True:
            folder = self._tools.shelf.folder
            tell_taken(self._tools.telling, await inbox.take_rulings(folder, self._tools.ledger))
            for request in inbox.drain(folder):
                self._tools.telling.say(f"asked to {request.value} by another batchfill")
                if request is inbox.Request.CANCEL:
                    self._stopping.cancel_all()
                else:
                    self._stopping.submits("stopped by the user", by_user=True)
            await anyio.sleep(ASK_INBOX)

    async def _watch_time(self) -> None:
        """Stop submitting early enough that what runs is fetched by --until."""
        while True:
            fetched = fetched_within(self._timing, self._collecting.times, behind=self._in_flight())
            left = self._until.left(self._tools.clock.now(), fetched)
            if left <= 0:
                break
            # In small steps: run times are still being learned, and a laptop may have slept.
            await anyio.sleep(min(left, LOOK_AT_CLOCK))
        self._stopping.submits(f"--until {self._until} reached")

    def _report(self) -> None:
        if self._watcher:
            self._watcher.progress(self._progress())

    def _progress(self) -> Progress:
        tools = self._tools
        submitting = self._submitting
        waiting_for = submitting.gate.waiting_for or submitting.allowance.waiting_for
        if waiting_for is None and self._finishing.waiting and not tools.ledger.counts[RowState.PENDING]:
            waiting_for = "pictures to be finished"
        return self._measure.progress(
            tools.ledger.counts,
            tools.ledger.gone,
            replace(tools.ledger.cost, rehearsal=tools.settings.local),
            now=tools.clock.now(),
            waiting_for=waiting_for,
            last_failure=tools.telling.last_failure,
            run_time=self._timing.expected,
        )
