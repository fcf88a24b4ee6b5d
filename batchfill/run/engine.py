"""One run from its first claim to its last file: the stages side by side, and when they are done."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import anyio

from batchfill import filenames
from batchfill.clock import Deadline, loop_time
from batchfill.domain.progress import Level
from batchfill.domain.rows import OPEN, RowState
from batchfill.errors import BatchfillError, in_words
from batchfill.run.download.downloader import Downloader
from batchfill.run.placement import OutputPlacer
from batchfill.run.poll.poller import Poller
from batchfill.run.postprocess.postprocessor import PostProcessor
from batchfill.run.progress_meter import ProgressMeter, Stopwatch
from batchfill.run.recover.reconciler import Reconciler
from batchfill.run.remote_outputs import RemoteOutputs
from batchfill.run.submit.submitter import Submitter
from batchfill.storage import inbox
from batchfill.storage.disk import DiskSpaceGuard
from batchfill.storage.run_log import log_applied_decisions

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from batchfill.domain.predictions import Prediction
    from batchfill.domain.progress import Progress, ProgressListener
    from batchfill.domain.rows import Attempt
    from batchfill.run.context import RunContext

BACKLOG = 2
"""Times the concurrency: predictions that may wait to be collected before submitting waits for them."""

LONGEST_WAIT_TO_COLLECT = 600.0
LOOK_AT_CLOCK = 30.0
"""Seconds between two looks whether --until has come."""


@dataclass(frozen=True, slots=True)
class EngineResult:
    """What a night did."""

    submitted: int
    finished: int
    elapsed: float
    throttled: float
    """Seconds for which the service made creates wait."""
    held: float
    """Seconds for which fetching kept submits waiting."""
    left: int = 0
    """Files that are still to be put below --outputs."""


class Engine:
    """The stages of one run, wired to each other."""

    def __init__(self, context: RunContext, watcher: ProgressListener | None) -> None:
        self._context = context
        self._stopping = context.stopping
        self._watcher = watcher
        self._placer = OutputPlacer(context)
        self._remote = RemoteOutputs(
            context, finished=self._stopping.wakeup.notify, refused=self._stopping.stop_submitting
        )
        self._postprocessor = PostProcessor(context, self._placer, finished=self._something_to_fetch)
        self._collecting = Downloader(
            context,
            self._placer,
            to_judge=self._postprocessor.bell.notify,
            collected=self._something_ended,
        )
        self._poller = Poller(
            context,
            made_room=lambda: self._submitting.gate.wakeup.notify(),
            ended=self._something_to_fetch,
        )
        self._reconciler = Reconciler(
            context,
            found=self._has_prediction,
            settled=self._something_ended,
            unanswered=lambda: self._submitting.open.values(),
        )
        self._submitting = Submitter(
            context, hold=self._why_blocked, accepted=self._has_prediction, lost=self._reconciler.add_attempt
        )
        self._deadline = Deadline(context.settings.until, context.clock.now())
        self._space = DiskSpaceGuard(context.store.folder, context.log, context.timings)
        self._meter = ProgressMeter(context.ledger.counts, context.clock.now())
        self._held = Stopwatch()
        self._stages = anyio.create_task_group()

    async def run(self) -> EngineResult:
        """Carry the batch as far as it goes. What ended it early is in the StopSignal."""
        await self._load_open()
        async with self._stages as stages:
            for put_right in (self._placer.take_back, self._placer.rename_all):
                await self._run_guarded(put_right)
            for serve in (self._collecting.serve, self._postprocessor.serve_rows, self._poller.serve_polls):
                stages.start_soon(self._run_guarded, serve)
            stages.start_soon(self._run_guarded, self._reconciler.serve_lost)
            # What was made is fetched all the same.
            stages.start_soon(
                partial(self._run_guarded, self._submitting.serve_due, stop=self._stopping.stop_submitting)
            )
            for serve in (self._read_inbox, self._watch_time, self._remote.serve_files):
                stages.start_soon(self._run_guarded, serve)
            await self._until_over()
            self._say_what_waits()
            stages.cancel_scope.cancel()
        self._report_progress()
        return self._make_result(await self._remote.end())

    def _make_result(self, left: int) -> EngineResult:
        counts, now = self._context.ledger.counts, self._context.clock.now()
        return EngineResult(
            self._submitting.answers.submitted,
            self._meter.finished_rows(counts),
            now - self._meter.began,
            throttled=self._context.creates.throttled_for,
            held=self._held.total(loop_time()),
            left=left,
        )

    async def _load_open(self) -> None:
        """Take up what earlier runs left: the ledger is the queue."""
        ledger = self._context.ledger
        submitting = await ledger.open_attempts(RowState.SUBMITTING)
        doubtful = await ledger.open_attempts(RowState.IN_DOUBT)
        self._reconciler.note_consent(self._take_consented(doubtful))
        self._reconciler.add_all(self._submitting.add_lost([*submitting, *doubtful]))
        self._poller.add_all(await ledger.open_attempts(RowState.RUNNING))

    def _take_consented(self, doubtful: Sequence[Attempt]) -> list[Attempt]:
        """Return those in doubt whose rows --retry wants submitted again, should they not be found."""
        settings = self._context.settings
        if RowState.IN_DOUBT not in settings.retry:
            return []
        ids = frozenset(map(filenames.fold_case, settings.ids))
        return [attempt for attempt in doubtful if not ids or filenames.fold_case(attempt.id) in ids]

    async def _run_guarded(
        self, serve: Callable[[], Awaitable[object]], *, stop: Callable[[str], None] | None = None
    ) -> None:
        """Run one stage; what it cannot carry on after ends the night, not the program.

        *stop* is told of the unexpected; without it, that ends everything.
        """
        try:
            await serve()
        except* BatchfillError as group:
            self._stopping.stop_now(in_words(group))
        except* (
            Exception
        ) as group:  # the stages' boundary: no other code hears of it while others wait for them
            words = f"the run cannot go on: {in_words(group)}"
            self._context.log.notice(words, Level.ERROR)
            (stop or self._stopping.stop_now)(words)

    async def _until_over(self) -> None:
        while not self._is_over():
            seen = self._stopping.wakeup.version
            self._report_progress()
            await self._stopping.wakeup.wait(seen, self._context.timings.progress)
        while self._submitting.open:
            await self._stopping.wakeup.wait(self._stopping.wakeup.version, self._context.timings.progress)

    def _say_what_waits(self) -> None:
        ledger = self._context.ledger
        if self._stopping.because is None and ledger.counts[RowState.PENDING] > ledger.to_submit:
            self._stopping.stop_submitting("only the rows named by --id were to run")

    def _is_over(self) -> bool:
        stopping, ledger = self._stopping, self._context.ledger
        if stopping.at_once:
            return True
        submits = stopping.because is None and ledger.to_submit > 0
        # The next start recovers as well as this one: only a cancel has to know what runs now.
        recovers = self._reconciler.waiting and (stopping.cancel or not stopping.by_user)
        # Nor need they wait for what could not be fetched at the first try.
        collects = self._collecting.fresh if stopping.by_user else self._collecting.waiting
        runs = ledger.in_state(RowState.RUNNING) + collects
        # What is fetched can be finished and judged by any later start.
        works = self._postprocessor.waiting or self._collecting.busy or not self._postprocessor.idle
        works = (works or not self._remote.idle) and not stopping.by_user
        return not (submits or recovers or runs or works or self._submitting.busy)

    def _has_prediction(self, attempt: Attempt, prediction: Prediction) -> None:
        """A prediction is ours, newly made or found again."""
        self._poller.add_attempt(attempt)
        if prediction.ended:
            self._stages.start_soon(
                self._run_guarded, partial(self._poller.settle_prediction, attempt, prediction)
            )

    def _something_to_fetch(self) -> None:
        self._collecting.bell.notify()
        self._something_ended()

    def _something_ended(self) -> None:
        self._remote.bell.notify()
        self._submitting.gate.wakeup.notify()
        self._stopping.wakeup.notify()

    def _why_blocked(self) -> tuple[str, float | None] | None:
        """Return why nothing may be submitted now, and how long to wait at most."""
        if (unwritten := self._context.ledger.lack) is not None:
            if self._context.ledger.mirror_lacks_for > self._context.timings.disk_patience:
                self._stopping.stop_submitting(unwritten)
            return unwritten, self._context.timings.disk_look
        cluster = self._context.cluster
        if cluster is not None and (lack := cluster.lack) is not None:
            if cluster.gone_for > self._context.timings.disk_patience:
                self._stopping.stop_submitting(lack)
            return lack, self._context.timings.disk_look
        largest = max(self._collecting.largest, self._postprocessor.largest)
        if self._submitting.refused and self._space.takes_files():
            self._submitting.refused = None
        refused = self._collecting.refused or self._postprocessor.refused or self._submitting.refused
        lack = self._space.shortage(self._in_flight(), largest, refused)
        if lack is not None:
            self._context.copies.remove_unused()
            self._remote.give_room()
            if self._space.out_of_patience:
                self._stopping.stop_submitting(lack)
            return lack, self._context.timings.disk_look
        first = self._fetch_first()
        self._held.note(waits=first is not None, now=loop_time())
        return first

    def _in_flight(self) -> int:
        return sum(map(self._context.ledger.in_state, OPEN))

    def _fetch_first(self) -> tuple[str, float | None] | None:
        now = self._context.clock.now()
        if self._collecting.waiting > BACKLOG * self._context.settings.concurrency:
            return "finished pictures to be fetched", None
        oldest = self._collecting.oldest
        if oldest is not None and now - oldest > LONGEST_WAIT_TO_COLLECT:
            return "a finished picture that could not be fetched yet", 5.0
        return None

    async def _read_inbox(self) -> None:
        # No event crosses processes on every system; a look at an empty folder costs microseconds.
        while True:
            folder = self._context.store.folder
            log_applied_decisions(self._context.log, await inbox.take_rulings(folder, self._context.ledger))
            for request in inbox.drain_requests(folder):
                self._context.log.notice(f"asked to {request.value} by another batchfill")
                if request is inbox.Request.CANCEL:
                    self._stopping.cancel_all()
                else:
                    self._stopping.stop_submitting("stopped by the user", by_user=True)
            await anyio.sleep(self._context.timings.inbox_look)

    async def _watch_time(self) -> None:
        """Stop submitting early enough that what runs is fetched by --until."""
        context = self._context
        while True:
            fetched = context.run_times.time_to_finish(self._collecting.times, behind=self._in_flight())
            left = self._deadline.seconds_left(context.clock.now(), fetched)
            if left <= 0:
                break
            # In small steps: run times are still being learned, and a laptop may have slept.
            await anyio.sleep(min(left, LOOK_AT_CLOCK))
        self._stopping.stop_submitting(f"--until {self._deadline} reached")

    def _report_progress(self) -> None:
        if self._watcher:
            self._watcher.progress(self._make_progress())

    def _make_progress(self) -> Progress:
        context = self._context
        submitting = self._submitting
        waiting_for = submitting.gate.waiting_for or submitting.answers.allowance.waiting_for
        if (
            waiting_for is None
            and self._postprocessor.waiting
            and not context.ledger.counts[RowState.PENDING]
        ):
            waiting_for = "pictures to be finished"
        return self._meter.make_progress(
            context.ledger.counts,
            context.ledger.gone,
            replace(context.ledger.cost, rehearsal=context.settings.local),
            now=context.clock.now(),
            waiting_for=waiting_for,
            last_failure=context.log.last_failure,
            run_time=context.run_times.expected,
        )
