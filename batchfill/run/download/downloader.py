"""Succeeded predictions are fetched while the service has them, each output by itself."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING

import anyio

from batchfill.catalog.finish import finish_of
from batchfill.clock import loop_time
from batchfill.domain.predictions import GONE, Prediction, match_addresses, of_each, told_lost
from batchfill.domain.progress import Level
from batchfill.domain.rows import RowState
from batchfill.errors import (
    MachineFailed,
    NotFound,
    ServiceRefused,
    TransientError,
    short_of_something,
)
from batchfill.providers.downloads import SignatureWanted
from batchfill.run.download.output_fetcher import OutputFetcher
from batchfill.run.download.unfetched import (
    OF_THIS_MACHINE,
    UNFETCHED,
    Step,
    Unfetched,
    is_removed,
    why_lost,
    why_none,
    why_unfetched,
)
from batchfill.run.placement import flags_alone
from batchfill.run.run_times import FETCHED_AT_ONCE, RunTimes
from batchfill.storage.downloaded import Downloaded
from batchfill.wakeup import Wakeup

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from batchfill.domain.predictions import Output
    from batchfill.domain.rows import Attempt, DownloadJob, DownloadQueue
    from batchfill.errors import BatchfillError
    from batchfill.run.context import RunContext
    from batchfill.run.placement import OutputPlacer


LONGEST_WAIT = 120.0

ROWS_AT_ONCE = 2 * FETCHED_AT_ONCE
"""Rows that are fetched or wait for their records: these come in groups, and keep no other from coming."""

LOOK_GAP = 0.02
"""Seconds between two questions for what is due: rows that end meanwhile share one."""

LOST = "its files were fetched and are gone from outputs/, and the service has removed them"
REMOVED = "made and paid for, but the service removed it before it was fetched"

UNKNOWN = "unknown"
"""The status of a prediction that the service does not know."""


class Downloader:
    """The stage that fetches."""

    def __init__(
        self,
        context: RunContext,
        placer: OutputPlacer,
        *,
        to_judge: Callable[[], None],
        collected: Callable[[], None],
    ) -> None:
        """*collected* is called when something has come of a row, *to_judge* where it may be judged now."""
        self._context = context
        self._refusals = context.refusals
        self._placer = placer
        self._to_judge = to_judge
        self._collected = collected
        self._busy: set[int] = set()
        self._failed: defaultdict[int, Unfetched] = defaultdict(Unfetched)
        self._left: set[int] = set()
        self._fetcher = OutputFetcher(context)
        self._at_once = asyncio.Semaphore(FETCHED_AT_ONCE)
        self.times = RunTimes([0.0])
        """Of fetching all files of a row, in seconds."""
        self.bell = Wakeup()
        """Rings when a row may have become due."""
        self.oldest: float | None = None
        """Since when the oldest row has been waiting, in seconds since the epoch."""
        self.refused: str | None = None
        """Why the batch folder did not take the last picture; None when it did."""

    @property
    def waiting(self) -> int:
        """How many rows are to be fetched in this run."""
        ledger = self._context.ledger
        return ledger.in_state(RowState.COLLECTING) - ledger.kept - len(self._left)

    @property
    def largest(self) -> int:
        """Bytes of the largest picture that this run fetched."""
        return self._fetcher.largest

    @property
    def busy(self) -> bool:
        """Whether rows are being fetched or put in their places: what comes of them is still to be told."""
        return bool(self._busy)

    @property
    def fresh(self) -> int:
        """How many of those are being fetched, or have not been tried yet."""
        return self.waiting - len(self._failed.keys() - self._busy - self._left)

    async def serve(self) -> None:
        """Fetch what is due until cancelled: first what was not tried yet, oldest first."""
        async with anyio.create_task_group() as fetching:
            while True:
                seen = self.bell.version
                room = ROWS_AT_ONCE - len(self._busy)
                found = await self._due(room)
                self.oldest = found.oldest
                for one in found.due:
                    self._busy.add(one.attempt.number)
                    fetching.start_soon(self._download_row, one)
                await anyio.sleep(LOOK_GAP)
                await self.bell.wait(seen, self._seconds_until(found.next_at))

    async def _due(self, room: int) -> DownloadQueue:
        """Return what to fetch now: rows that hang, however old, must not keep out those that can be had."""
        ledger = self._context.ledger
        found = await ledger.download_queue(room, without=self._left, busy={*self._busy, *self._failed})
        if not self._failed or len(found.due) == room:
            return found
        fresh = {one.attempt.number for one in found.due}
        rest = await ledger.download_queue(room - len(fresh), without=self._left, busy=self._busy | fresh)
        return replace(rest, due=found.due + rest.due)

    def _seconds_until(self, at: float | None) -> float | None:
        return None if at is None else max(0.0, at - self._context.clock.now()) + 0.01

    async def _download_row(self, one: DownloadJob) -> None:
        attempt = one.attempt
        try:
            with short_of_something():
                if not one.outputs:
                    await self._ask_for_outputs(attempt)
                elif not await self._waits_for_more(one):
                    await self._fetch_all(one)
        except MachineFailed as error:
            await self._put_off(attempt, str(error))
        finally:
            self._busy.discard(attempt.number)
            self.bell.notify()
            if one.asked.files:
                self._to_judge()
            self._collected()

    def _is_finished(self, one: DownloadJob) -> bool:
        """Whether other files are made of the outputs."""
        return finish_of(self._context.model, one.asked) is not None

    async def _fetch_all(self, one: DownloadJob) -> None:
        wanted = [output for output in one.outputs if output.lost is None and not self._is_there(one, output)]
        if not wanted:
            # A run died before it could say so.
            await self._end(one)
            return
        began = loop_time()
        failed: dict[int, BatchfillError] = {}
        in_turn = asyncio.Lock()
        if len(wanted) == 1:
            # Most rows have one output, and a group of tasks costs as much as its record.
            await self._get(one, wanted[0], failed, in_turn)
        else:
            async with anyio.create_task_group() as fetching:
                for output in wanted:
                    fetching.start_soon(self._get, one, output, failed, in_turn)
        if failed:
            await self._go_on_without(one, failed)
            return
        self.refused = None
        self._failed.pop(one.attempt.number, None)
        self.times.add_run_time(loop_time() - began)

    def _is_there(self, one: DownloadJob, output: Output) -> bool:
        if self._is_finished(one):
            return output.raw is not None or (output.file is not None and output.finished_with is not None)
        return output.file is not None

    async def _get(
        self, one: DownloadJob, output: Output, failed: dict[int, BatchfillError], in_turn: asyncio.Lock
    ) -> None:
        """Fetch one output and keep it, whatever becomes of the others; note in *failed* why it cannot be."""
        try:
            with short_of_something():
                fetched = await self._placer.find_staged(one.attempt, output, len(one.outputs))
                fetched = fetched or await self._fetch(one, output)
                with anyio.CancelScope(shield=True):
                    # The first that gets its place clears the way for all of them.
                    async with in_turn:
                        await self._keep(one, fetched)
        except UNFETCHED as error:
            failed[output.n] = error

    async def _fetch(self, one: DownloadJob, output: Output) -> Downloaded:
        try:
            async with self._at_once:
                return await self._fetcher.fetch(one, output)
        except UNFETCHED:
            # A worker may have left it in the bucket just before a run died, and the service has it no more.
            if (left := await self._placer.find_left(output)) is not None:
                return left
            raise

    async def _keep(self, one: DownloadJob, fetched: Downloaded) -> None:
        """Record what is whole as what it is to be: a file to work on, or one in its place."""
        if self._is_finished(one) and fetched.output.finished_with is None:
            await self._placer.keep_raw(one.attempt, [fetched])
            return
        # Without local files it is not judged later: there is nothing at hand to compare it with.
        flags = fetched.output.flags if one.asked.files else flags_alone(fetched.picture)
        output = replace(fetched.output, raw=None, raw_sha256=None, flags=flags)
        placed = Downloaded(output, fetched.written, fetched.picture)
        await self._placer.place_outputs(one.attempt, [placed], one.outputs, more=True)

    async def _look_again(self, attempt: Attempt) -> Prediction | None:
        """Return the prediction as the service has it now; None when it cannot be asked.

        One that it does not know, perhaps for a moment only, has a status of its own and names no outputs.
        """
        assert attempt.prediction_id is not None
        try:
            found = await self._context.lookup.fetch_prediction(attempt)
        except NotFound:
            return Prediction(attempt.prediction_id, UNKNOWN)
        except ServiceRefused as error:
            self._refusals.add_refusal(attempt, error)
            return None
        except TransientError:
            return None
        self._refusals.end()
        return self._context.lookup.name_outputs(attempt, found)

    async def _ask_for_outputs(self, attempt: Attempt) -> None:
        """It succeeded, and no output was named: perhaps it has them now, perhaps it removed them."""
        prediction = await self._look_again(attempt)
        if prediction is None:
            await self._put_off(attempt, "the service named no outputs")
        elif prediction.outputs:
            await self._context.ledger.record_urls(attempt, prediction.outputs)
        elif prediction.data_removed:
            await self._expire_row(attempt, REMOVED)
        else:
            await self._wait_or_give_up(attempt, prediction)

    async def _wait_or_give_up(self, attempt: Attempt, prediction: Prediction) -> None:
        late = self._context.timings.late_outputs
        if self._failed[attempt.number].may_name_any(self._context.clock.now(), late):
            await self._put_off(attempt, "the service has named no outputs yet")
        elif prediction.status == UNKNOWN:
            await self._expire_row(attempt, REMOVED)
        else:
            await self._give_up(attempt, why_none(prediction, late))

    async def _waits_for_more(self, one: DownloadJob) -> bool:
        """Whether outputs that the service has not named yet are waited for: it is asked once more."""
        attempt, named, known = one.attempt, len(one.outputs), self._failed.get(one.attempt.number)
        if not (known or Unfetched()).may_name_more(named, attempt.outputs_asked):
            return False
        prediction = None
        if known is not None:
            known.looks += 1
            prediction = await self._look_again(attempt)
            if prediction is not None and len(prediction.outputs) > named:
                await self._context.ledger.record_urls(attempt, prediction.outputs)
                return True
            if not known.may_name_more(named, attempt.outputs_asked):
                return False
        await self._put_off(attempt, f"{named} outputs are named so far", expected=True)
        return True

    async def _go_on_without(self, one: DownloadJob, failed: Mapping[int, BatchfillError]) -> None:
        """Ask the service for the outputs that could not be fetched: addresses expire, and outputs too."""
        attempt, errors = one.attempt, failed.values()
        self.refused = next(
            (str(error) for error in errors if isinstance(error, OF_THIS_MACHINE)), self.refused
        )
        over = self._hour_is_over(attempt)
        if not over and all(isinstance(error, OF_THIS_MACHINE) for error in errors):
            await self._put_off(attempt, why_unfetched(one, failed))
            return
        prediction = await self._look_again(attempt)
        if prediction is not None and is_removed(prediction, errors, over=over):
            await self._context.ledger.record_lost(attempt, dict.fromkeys(failed, GONE))
            await self._end(one)
        elif prediction is None or not prediction.outputs:
            await self._put_off(attempt, why_unfetched(one, failed))
        else:
            await self._decide(one, failed, prediction.outputs, over=over)

    async def _decide(
        self, one: DownloadJob, failed: Mapping[int, BatchfillError], named: Sequence[str], *, over: bool
    ) -> None:
        """Try again, go on without some, or leave the row, now that it is known what is *named*."""
        attempt, known = one.attempt, self._failed[one.attempt.number]
        urls = match_addresses(one.outputs, named)
        new = any(urls[output.n] != output.url for output in one.outputs if output.n in failed)
        if new:
            await self._context.ledger.record_urls(attempt, named)
        known.looked(one.outputs, urls)
        siblings = any(output.lost is None and output.n not in failed for output in one.outputs)
        steps = {n: known.next_step(n, error, over=over, siblings=siblings) for n, error in failed.items()}
        made = attempt.ended_at or self._context.clock.now()
        kept_until = made + self._context.service.facts.outputs_kept
        lost = {n: why_lost(failed[n], kept_until) for n, step in steps.items() if step is Step.LOST}
        if lost:
            await self._context.ledger.record_lost(attempt, lost)
        rest = {n: error for n, error in failed.items() if n not in lost}
        if not rest:
            await self._end(one)
        elif all(steps[n] is Step.LEFT for n in rest):
            await self._leave_output(attempt, why_unfetched(one, rest))
        else:
            known.renewed = new and not known.renewed
            # An address that has expired is replaced by a new one at once: no trouble yet.
            expired = known.renewed and all(isinstance(error, SignatureWanted) for error in rest.values())
            await self._put_off(attempt, why_unfetched(one, rest), at_once=known.renewed, expected=expired)

    async def _put_off(
        self, attempt: Attempt, error: str, *, at_once: bool = False, expected: bool = False
    ) -> None:
        """Try again later, or with new addresses *at_once*; it is told unless it is *expected*."""
        context = self._context
        known = self._failed[attempt.number]
        known.tries += 1
        wait = min(LONGEST_WAIT, context.timings.download_retry * 2 ** min(known.tries - 1, 10))
        wait = 0.0 if at_once else wait * context.chance.between(0.8, 1.2)
        await context.ledger.record_put_off(attempt, error, due_at=context.clock.now() + wait)
        weight = Level.WARNING if known.tries in (1, 5) and not expected else Level.DEBUG
        context.log.notice(f"{attempt.id}: fetching: {error}; again in {wait:.0f} s", weight)

    async def _leave_output(self, attempt: Attempt, error: str) -> None:
        """The service still names what cannot be fetched: no wait for it, the next start tries again."""
        await self._context.ledger.record_put_off(attempt, error, due_at=0)
        self._left.add(attempt.number)
        self._context.log.notice(f"{attempt.id}: left for the next run: {error}", Level.WARNING)

    async def _end(self, one: DownloadJob) -> None:
        """No more outputs will come: what is there is the row's, and if there is none it has failed."""
        attempt = one.attempt
        assert attempt.prediction_id is not None
        outputs = await self._context.ledger.outputs_of(attempt.prediction_id)
        lost = {output.n: output.lost for output in outputs if output.lost is not None}
        if len(lost) < len(outputs):
            await self._go_on_with(one, outputs)
        elif GONE in lost.values():
            await self._expire_row(attempt, LOST if any(output.planned for output in outputs) else REMOVED)
        else:
            await self._give_up(attempt, of_each(lost) if len(lost) > 1 else lost[1])

    async def _go_on_with(self, one: DownloadJob, outputs: Sequence[Output]) -> None:
        """Finish, or call done, what there is of *outputs*."""
        attempt = one.attempt
        self._failed.pop(attempt.number, None)
        if self._is_finished(one):
            await self._context.ledger.record_kept(attempt, [])
        else:
            await self._placer.place_outputs(attempt, [], outputs, more=True)
        if (fewer := told_lost(outputs, attempt.outputs_asked)) is not None:
            self._context.log.notice(f"{attempt.id}: {fewer}", Level.WARNING)

    async def _give_up(self, attempt: Attempt, error: str) -> None:
        self._failed.pop(attempt.number, None)
        await self._context.ledger.record_uncollectable(attempt, error)
        self._context.log.row_failed(attempt.id, error)

    async def _expire_row(self, attempt: Attempt, reason: str) -> None:
        self._failed.pop(attempt.number, None)
        await self._context.ledger.record_expired(attempt, reason)
        self._context.log.row_failed(attempt.id, reason)

    def _hour_is_over(self, attempt: Attempt) -> bool:
        made = attempt.ended_at or attempt.intended_at
        return self._context.clock.now() > made + self._context.service.facts.outputs_kept
