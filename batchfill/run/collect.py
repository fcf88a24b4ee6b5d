"""Succeeded predictions become files: fetched, decoded, in place, and only then recorded."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import anyio

from batchfill import names
from batchfill.api.downloads import SignatureWanted
from batchfill.errors import BadPicture, NotFound, OutputRefused, ServiceRefused, TryAgain
from batchfill.images.look import whole
from batchfill.run.bell import Bell
from batchfill.run.follow import HOUR, REMOVED
from batchfill.run.shelf import OUTPUTS
from batchfill.values import Weight

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager

    from batchfill.api.downloads import Download
    from batchfill.errors import BatchfillError
    from batchfill.run.shelf import Written
    from batchfill.run.stopping import Stopping
    from batchfill.run.tools import Tools
    from batchfill.values import Attempt, Output, Picture

FETCHED_AT_ONCE = 16
FIRST_WAIT = 2.0
LONGEST_WAIT = 120.0

NONE_MADE = "the service made no picture of it (its safety filter leaves some out)"


class Collecting:
    """The stage that fetches."""

    def __init__(
        self, tools: Tools, stopping: Stopping, *, many: bool, collected: Callable[[], None]
    ) -> None:
        """*many*: outputs go to sub-folders. *collected* is called when a row has come to its end."""
        self._tools = tools
        self._stopping = stopping
        self._many = many
        self._collected = collected
        self._busy: set[int] = set()
        self._failed: dict[int, int] = {}
        self.bell = Bell()
        """Rings when a row may have become due."""
        self.oldest: float | None = None
        """Since when the oldest row has been waiting, in seconds since the epoch."""

    async def serve(self) -> None:
        """Fetch what is due, oldest first, until cancelled."""
        async with anyio.create_task_group() as fetching:
            while True:
                seen = self.bell.rung
                for attempt in await self._due():
                    self._busy.add(attempt.number)
                    fetching.start_soon(self._collect, attempt)
                self.oldest = await self._tools.ledger.oldest_collecting()
                await self.bell.wait(seen, await self._until_due())

    async def rename(self) -> None:
        """Give files the present ids of their rows, after ids were changed in the manifest."""
        renamed = await self._tools.ledger.misnamed()
        # Two steps, since rows may have swapped their ids.
        for attempt in renamed:
            for output in await self._outputs_of(attempt):
                await self._move(output, self._tools.shelf.earlier_name(output))
        for attempt in renamed:
            await self._clear_way(attempt)
            for output in await self._outputs_of(attempt):
                await self._move(output, f"{OUTPUTS}/{self._name(attempt, output, _suffix(output))}")
            await self._tools.ledger.record_renamed(attempt)

    async def _due(self) -> list[Attempt]:
        free = FETCHED_AT_ONCE - len(self._busy)
        if free <= 0:
            return []
        found = await self._tools.ledger.collecting(FETCHED_AT_ONCE + len(self._busy))
        return [attempt for attempt in found if attempt.number not in self._busy][:free]

    async def _until_due(self) -> float | None:
        at = await self._tools.ledger.next_collect_at()
        return None if at is None else max(0.0, at - self._tools.clock.now()) + 0.01

    async def _collect(self, attempt: Attempt) -> None:
        try:
            await self._fetch_all(attempt)
        except NotFound as error:
            await self._confirm_gone(attempt, error)
        except OutputRefused as error:
            await self._refuse(attempt, str(error))
        except (TryAgain, BadPicture, SignatureWanted, ServiceRefused) as error:
            await self._put_off(attempt, error)
        finally:
            self._busy.discard(attempt.number)
            self.bell.ring()
            self._collected()

    async def _fetch_all(self, attempt: Attempt) -> None:
        outputs = await self._outputs_of(attempt)
        if not outputs:
            await self._give_up(attempt, NONE_MADE)
            return
        fetched: list[tuple[Output, Written, Picture]] = []
        try:
            for output in outputs:
                # One by one: what was fetched before a failure has to be discarded.
                fetched.append((output, *await self._fetch(output)))  # noqa: PERF401
        except BaseException:
            for _, written, _ in fetched:
                self._tools.shelf.discard(written)
            raise
        with anyio.CancelScope(shield=True):
            await self._place_all(attempt, fetched)

    async def _fetch(self, output: Output) -> tuple[Written, Picture]:
        try:
            written = await self._download(output, self._tools.outputs.fetch(output.url))
        except SignatureWanted as unsigned:
            try:
                written = await self._download(output, self._tools.service.fetch_own(output.url))
            except OutputRefused:
                # Not at the base's own address: the token stays away, and the refusal may pass.
                raise unsigned from None
        try:
            return written, await self._tools.workers.do(whole, written.path)
        except BadPicture as error:
            place = self._tools.shelf.keep_suspect(written)
            raise BadPicture(f"the service sent no whole picture ({error}); kept as {place}") from error

    async def _download(self, output: Output, opening: AbstractAsyncContextManager[Download]) -> Written:
        async with opening as download:
            return await self._tools.shelf.write(output.prediction_id, output.n, download.chunks())

    async def _place_all(self, attempt: Attempt, fetched: list[tuple[Output, Written, Picture]]) -> None:
        tools = self._tools
        # A row that was edited away must not take the place of the one that has its id now.
        displaced = await tools.ledger.is_named_by_another(attempt, names.fold(attempt.id))
        if not displaced:
            await self._clear_way(attempt)
        placed = []
        for output, written, picture in fetched:
            file = f"{OUTPUTS}/{self._name(attempt, output, picture.suffix)}"
            if displaced:
                file = tools.shelf.earlier_name(replace(output, file=file))
            await tools.shelf.place(written, file)
            whole_output = replace(output, file=file, size=written.size, sha256=written.sha256)
            placed.append((whole_output, picture.width, picture.height))
        fewer = f"{len(placed)} of {attempt.outputs_asked} pictures: the service left the others out"
        error = fewer if len(placed) < attempt.outputs_asked else None
        await tools.ledger.record_collected(attempt, placed, error, in_place=not displaced)
        self._failed.pop(attempt.number, None)
        tools.telling.log(f"{attempt.id}: done, {', '.join(output.file or '' for output, _, _ in placed)}")

    async def _clear_way(self, attempt: Attempt) -> None:
        """Move files that stand under the attempt's id, but are not its, to `outputs/earlier/`."""
        for output in await self._tools.ledger.outputs_in_the_way(attempt, names.fold(attempt.id)):
            await self._move(output, self._tools.shelf.earlier_name(output))

    def _name(self, attempt: Attempt, output: Output, suffix: str) -> str:
        return names.output_name(attempt.id, output.n, attempt.outputs_asked, suffix, many=self._many)

    async def _outputs_of(self, attempt: Attempt) -> list[Output]:
        assert attempt.prediction_id is not None
        return await self._tools.ledger.outputs_of(attempt.prediction_id)

    async def _move(self, output: Output, file: str) -> None:
        if output.file is not None and output.file != file:
            with anyio.CancelScope(shield=True):
                await self._tools.ledger.record_moved(output, await self._tools.shelf.move(output.file, file))

    async def _confirm_gone(self, attempt: Attempt, error: NotFound) -> None:
        """An output is not at its address: ask the service whether it is gone for good."""
        assert attempt.prediction_id is not None
        try:
            prediction = await self._tools.service.get(attempt.prediction_id)
        except NotFound:
            await self._expire(attempt)
            return
        except ServiceRefused as refusal:
            self._refused(refusal)
            await self._put_off(attempt, error)
            return
        except TryAgain:
            await self._put_off(attempt, error)
            return
        if prediction.data_removed or not prediction.outputs:
            await self._expire(attempt)
            return
        await self._tools.ledger.record_urls(attempt, prediction.outputs)
        if self._hour_is_over(attempt):
            await self._expire(attempt)
        else:
            await self._put_off(attempt, error)

    async def _put_off(self, attempt: Attempt, error: BatchfillError) -> None:
        tools = self._tools
        times = self._failed[attempt.number] = self._failed.get(attempt.number, 0) + 1
        if self._hour_is_over(attempt) and await self._is_over(attempt, error):
            return
        wait = min(LONGEST_WAIT, FIRST_WAIT * 2 ** min(times - 1, 10)) * tools.chance.between(0.8, 1.2)
        await tools.ledger.record_put_off(attempt, str(error), due_at=tools.clock.now() + wait)
        weight = Weight.WARNING if times in (1, 5) else Weight.QUIET
        tools.telling.say(f"{attempt.id}: fetching: {error}; again in {wait:.0f} s", weight)

    async def _is_over(self, attempt: Attempt, error: BatchfillError) -> bool:
        """Past the hour the service's word decides, for our clock may be wrong; True when it was decided."""
        assert attempt.prediction_id is not None
        try:
            prediction = await self._tools.service.get(attempt.prediction_id)
        except NotFound:
            await self._expire(attempt)
            return True
        except ServiceRefused as refusal:
            self._refused(refusal)
            return False
        except TryAgain:
            return False
        if prediction.data_removed or not prediction.outputs:
            await self._expire(attempt)
            return True
        if isinstance(error, BadPicture | SignatureWanted):
            await self._give_up(attempt, str(error))
            return True
        return False

    def _refused(self, error: ServiceRefused) -> None:
        if error.status == 401:
            # Whether a picture is gone can no longer be asked: its row stays as it is for another start.
            self._stopping.everything(str(error), refused=True)

    async def _refuse(self, attempt: Attempt, error: str) -> None:
        made = attempt.ended_at or self._tools.clock.now()
        until = datetime.fromtimestamp(made + HOUR).astimezone().strftime("%H:%M")
        await self._give_up(
            attempt, f"{error}. It was paid for, and the service removes it about {until}: fetch it yourself"
        )

    async def _give_up(self, attempt: Attempt, error: str) -> None:
        await self._tools.ledger.record_uncollectable(attempt, error)
        self._tools.telling.failed(attempt.id, error)

    async def _expire(self, attempt: Attempt) -> None:
        await self._tools.ledger.record_expired(attempt, REMOVED)
        self._tools.telling.failed(attempt.id, REMOVED)

    def _hour_is_over(self, attempt: Attempt) -> bool:
        made = attempt.ended_at or attempt.intended_at
        return self._tools.clock.now() > made + HOUR


def _suffix(output: Output) -> str:
    return PurePosixPath(output.file or "").suffix
