"""Succeeded predictions are fetched while the service has them, oldest first."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

import anyio

from batchfill.api.downloads import SignatureWanted
from batchfill.errors import BadPicture, FolderFailed, NotFound, OutputRefused, ServiceRefused, TryAgain
from batchfill.images.look import whole
from batchfill.run.asking import ask
from batchfill.run.bell import Bell
from batchfill.run.finish import finish_of
from batchfill.run.follow import HOUR
from batchfill.run.placing import Fetched
from batchfill.run.timing import Timing
from batchfill.values import RowState, Weight

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from batchfill.api.downloads import Download
    from batchfill.errors import BatchfillError
    from batchfill.run.finish import Finishing
    from batchfill.run.placing import Placing
    from batchfill.run.stopping import Stopping
    from batchfill.run.tools import Tools
    from batchfill.values import Attempt, Collectable, Output, Picture, Prediction

FETCHED_AT_ONCE = 16
FIRST_WAIT = 2.0
LONGEST_WAIT = 120.0

LOST = "its files were fetched and are gone from outputs/, and the service has removed them"
REMOVED = "made and paid for, but the service removed it before it was fetched"
NONE_MADE = "the service made no picture of it (its safety filter leaves some out)"


class Collecting:
    """The stage that fetches."""

    def __init__(
        self,
        tools: Tools,
        stopping: Stopping,
        placing: Placing,
        finishing: Finishing,
        *,
        collected: Callable[[], None],
    ) -> None:
        """*collected* is called when something has come of a row."""
        self._tools = tools
        self._stopping = stopping
        self._placing = placing
        self._finishing = finishing
        self._collected = collected
        self._busy: set[int] = set()
        self._failed: dict[int, int] = {}
        self._left: set[int] = set()
        self.times = Timing([0.0])
        """Of fetching all files of a row, in seconds."""
        self.bell = Bell()
        """Rings when a row may have become due."""
        self.oldest: float | None = None
        """Since when the oldest row has been waiting, in seconds since the epoch."""
        self.largest = 0
        """Bytes of the largest picture that this run fetched."""
        self.refused: str | None = None
        """Why the batch folder did not take the last picture; None when it did."""

    @property
    def waiting(self) -> int:
        """How many rows are to be fetched in this run."""
        ledger = self._tools.ledger
        return ledger.in_state(RowState.COLLECTING) - ledger.kept - len(self._left)

    @property
    def busy(self) -> bool:
        """Whether rows are being fetched or put in their places: what comes of them is still to be told."""
        return bool(self._busy)

    @property
    def fresh(self) -> int:
        """How many of those are being fetched, or have not been tried yet."""
        return self.waiting - len(self._failed.keys() - self._busy - self._left)

    async def serve(self) -> None:
        """Fetch what is due, oldest first, until cancelled."""
        async with anyio.create_task_group() as fetching:
            while True:
                seen = self.bell.rung
                room = FETCHED_AT_ONCE - len(self._busy)
                found = await self._tools.ledger.to_collect(room, without=self._left, busy=self._busy)
                self.oldest = found.oldest
                for one in found.due:
                    self._busy.add(one.attempt.number)
                    fetching.start_soon(self._collect, one)
                await self.bell.wait(seen, self._until(found.next_at))

    def _until(self, at: float | None) -> float | None:
        return None if at is None else max(0.0, at - self._tools.clock.now()) + 0.01

    async def _collect(self, one: Collectable) -> None:
        attempt = one.attempt
        try:
            await self._fetch_all(one)
        except NotFound as error:
            await self._confirm_gone(attempt, error)
        except OutputRefused as error:
            await self._refuse(attempt, str(error))
        except (TryAgain, BadPicture, SignatureWanted, ServiceRefused) as error:
            await self._put_off(attempt, error)
        finally:
            self._busy.discard(attempt.number)
            self.bell.ring()
            if one.asked.files:
                self._finishing.bell.ring()
            self._collected()

    async def _found(self, one: Collectable) -> bool:
        """Whether every file of the row is where a run that died had put it."""
        if self._is_finished(one) and await self._placing.keep_found(one.attempt, one.outputs):
            return True
        return await self._placing.find(one.attempt, one.outputs)

    def _is_finished(self, one: Collectable) -> bool:
        """Whether other files are made of the outputs."""
        return finish_of(self._tools.model, one.asked) is not None

    async def _fetch_all(self, one: Collectable) -> None:
        attempt, outputs = one.attempt, one.outputs
        if not outputs:
            await self._ask_for_outputs(attempt)
            return
        if await self._found(one):
            return
        if any(self._tools.service.redaction.given(output.url) is None for output in outputs):
            # An address that held the token was not written down, and an earlier run knew it.
            await self._ask_for_outputs(attempt)
            return
        began = anyio.current_time()
        fetched: list[Fetched] = []
        try:
            for output in outputs:
                # One by one: what was fetched before a failure has to be discarded.
                fetched.append(await self._fetch(output))  # noqa: PERF401
        except BaseException:
            for done in fetched:
                self._tools.shelf.discard(done.written)
            raise
        if not one.asked.files:
            # Nobody will judge it later: there is nothing at hand to compare it with.
            fetched = [_judged_alone(done) for done in fetched]
        with anyio.CancelScope(shield=True):
            await (self._placing.keep if self._is_finished(one) else self._placing.place)(attempt, fetched)
        self.refused = None
        self._failed.pop(attempt.number, None)
        self.times.ended(anyio.current_time() - began)

    async def _fetch(self, output: Output) -> Fetched:
        try:
            return await self._download(output, self._tools.outputs.fetch(output.url))
        except SignatureWanted as unsigned:
            try:
                return await self._download(output, self._tools.service.fetch_own(output.url))
            except OutputRefused:
                # Not at the base's own address: the token stays away, and the refusal may pass.
                raise unsigned from None

    async def _download(self, output: Output, opening: AbstractAsyncContextManager[Download]) -> Fetched:
        shelf = self._tools.shelf
        async with opening as download:
            written, seen = await shelf.write(output.prediction_id, output.n, download.chunks(), _look)
        self.largest = max(self.largest, written.size)
        if isinstance(seen, BadPicture):
            # Such bytes are mostly words, and a service may repeat in them what it was sent.
            place = shelf.keep_suspect(written, self._tools.service.redaction.body)
            raise BadPicture(f"the service sent no whole picture ({seen}); kept as {place}") from seen
        return Fetched(output, written, seen)

    async def _look_again(self, attempt: Attempt) -> Prediction | None:
        """Return the prediction as the service has it now; None when it cannot be asked. Raises NotFound."""
        try:
            return await ask(self._tools, attempt)
        except ServiceRefused as error:
            if error.status == 401:
                # What became of it can no longer be asked: its row stays as it is for another start.
                self._stopping.everything(str(error), refused=True)
            return None
        except TryAgain:
            return None

    async def _ask_for_outputs(self, attempt: Attempt) -> None:
        """It succeeded, and no output was named: perhaps it has them now, perhaps it removed them."""
        try:
            prediction = await self._look_again(attempt)
        except NotFound:
            await self._expire(attempt)
            return
        if prediction is None:
            await self._put_off(attempt, TryAgain("the service named no outputs"))
        elif prediction.outputs:
            await self._tools.ledger.record_urls(attempt, prediction.outputs)
        elif prediction.data_removed or self._hour_is_over(attempt, attempt.accepted_at):
            await self._expire(attempt)
        else:
            await self._give_up(attempt, NONE_MADE)

    async def _confirm_gone(self, attempt: Attempt, error: NotFound) -> None:
        """An output is not at its address: ask the service whether it is gone for good."""
        try:
            prediction = await self._look_again(attempt)
        except NotFound:
            await self._expire(attempt)
            return
        if prediction is None:
            await self._put_off(attempt, error)
        elif prediction.data_removed or not prediction.outputs or self._hour_is_over(attempt):
            await self._expire(attempt)
        else:
            await self._tools.ledger.record_urls(attempt, prediction.outputs)
            await self._put_off(attempt, error)

    async def _put_off(self, attempt: Attempt, error: BatchfillError) -> None:
        tools = self._tools
        if isinstance(error, FolderFailed):
            self.refused = str(error)
        times = self._failed[attempt.number] = self._failed.get(attempt.number, 0) + 1
        if self._hour_is_over(attempt) and await self._is_over(attempt, error):
            return
        wait = min(LONGEST_WAIT, FIRST_WAIT * 2 ** min(times - 1, 10)) * tools.chance.between(0.8, 1.2)
        await tools.ledger.record_put_off(attempt, str(error), due_at=tools.clock.now() + wait)
        weight = Weight.WARNING if times in (1, 5) else Weight.QUIET
        tools.telling.say(f"{attempt.id}: fetching: {error}; again in {wait:.0f} s", weight)

    async def _is_over(self, attempt: Attempt, error: BatchfillError) -> bool:
        """Past the hour the service's word decides, for our clock may be wrong; True when it was decided."""
        try:
            prediction = await self._look_again(attempt)
        except NotFound:
            await self._expire(attempt)
            return True
        if prediction is None:
            return False
        if prediction.data_removed or not prediction.outputs:
            await self._expire(attempt)
        elif isinstance(error, BadPicture | SignatureWanted):
            await self._give_up(attempt, str(error))
        else:
            await self._leave(attempt, error)
        return True

    async def _leave(self, attempt: Attempt, error: BatchfillError) -> None:
        """The service still names what cannot be fetched: nobody waits for it, the next start tries again."""
        await self._tools.ledger.record_put_off(attempt, str(error), due_at=0)
        self._left.add(attempt.number)
        self._tools.telling.say(f"{attempt.id}: left for the next run: {error}", Weight.WARNING)

    async def _refuse(self, attempt: Attempt, error: str) -> None:
        made = attempt.ended_at or self._tools.clock.now()
        until = datetime.fromtimestamp(made + HOUR).astimezone().strftime("%H:%M")
        await self._give_up(
            attempt, f"{error}. It was paid for, and the service removes it about {until}: fetch it yourself"
        )

    async def _give_up(self, attempt: Attempt, error: str) -> None:
        await self._tools.ledger.record_uncollectable(attempt, error)
        self._failed.pop(attempt.number, None)
        self._tools.telling.failed(attempt.id, error)

    async def _expire(self, attempt: Attempt) -> None:
        self._failed.pop(attempt.number, None)
        assert attempt.prediction_id is not None
        outputs = await self._tools.ledger.outputs_of(attempt.prediction_id)
        # A run that died between the rename and its record may have saved what the service no longer has.
        saved = await self._placing.keep_salvaged(attempt, outputs)
        if not saved and not await self._placing.salvage(attempt, outputs):
            reason = LOST if any(output.planned for output in outputs) else REMOVED
            await self._tools.ledger.record_expired(attempt, reason)
            self._tools.telling.failed(attempt.id, reason)

    def _hour_is_over(self, attempt: Attempt, since: float | None = None) -> bool:
        made = since or attempt.ended_at or attempt.intended_at
        return self._tools.clock.now() > made + HOUR


def _judged_alone(fetched: Fetched) -> Fetched:
    flags = ("blank",) if fetched.picture.plain else ()
    return replace(fetched, output=replace(fetched.output, flags=flags))


def _look(path: Path) -> Picture | BadPicture:
    # Returned, since the bytes of a bad one are kept.
    try:
        return whole(path)
    except BadPicture as error:
        return error
