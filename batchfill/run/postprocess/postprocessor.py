"""Outputs that are kept become finished pictures, and every picture is judged. Needs no network."""

from __future__ import annotations

import os
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import chain, repeat
from typing import TYPE_CHECKING

import anyio

from batchfill._version import __version__
from batchfill.catalog.finish import finish_of
from batchfill.domain.progress import Level
from batchfill.domain.rows import LocalFile
from batchfill.errors import (
    BadPicture,
    NoAnswer,
    ObjectGone,
    ObjectsRefused,
    StorageError,
    in_words,
    is_full,
)
from batchfill.images.codec.decode import decode_whole
from batchfill.images.codec.thumbnail import FOLDER
from batchfill.images.composite.composite import FinishTask
from batchfill.images.finished_row import FinishedRow, RowTask, finish_row
from batchfill.images.quality.flags import FlagTask, flag_outputs
from batchfill.run.placement import MADE_AGAIN
from batchfill.storage.downloaded import Downloaded
from batchfill.storage.output_store import StagedFile
from batchfill.wakeup import Wakeup

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
    from pathlib import Path

    from batchfill.catalog.finish import Finish
    from batchfill.catalog.model import Model
    from batchfill.domain.predictions import Output
    from batchfill.domain.rows import DownloadJob
    from batchfill.run.context import FileContext
    from batchfill.run.placement import OutputPlacer

AT_ONCE = 2 * (os.cpu_count() or 2)
"""Rows that are worked on or wait for a worker; more would wait in memory instead of in the ledger."""


class PostProcessor:
    """The stage that works on what was fetched."""

    def __init__(self, context: FileContext, placer: OutputPlacer, *, finished: Callable[[], None]) -> None:
        """*finished* is called when something has come of a row."""
        self._context = context
        self._placer = placer
        self._finished = finished
        self._busy: set[int] = set()
        self._left: set[int] = set()
        self._looked = -1
        self.bell = Wakeup()
        """Rings when there may be something to finish or to judge."""
        self.largest = 0
        """Bytes of the largest picture that this run finished."""
        self.refused: str | None = None
        """Why the batch folder did not take the last file; None when it did."""

    @property
    def waiting(self) -> int:
        """How many rows are to be finished in this run."""
        return max(0, self._context.ledger.kept - len(self._left))

    @property
    def idle(self) -> bool:
        """Whether nothing is being done, and nothing has come up since it was looked for."""
        return not self._busy and self._looked == self.bell.version

    async def serve_rows(self) -> None:
        """Finish what is kept, oldest first, and judge what is done, until cancelled."""
        async with anyio.create_task_group() as tasks:
            while True:
                seen = self.bell.version
                for one in await self._take_jobs(self._context.ledger.to_finish):
                    tasks.start_soon(self._carry_out, one, self._finish_row)
                for one in await self._take_jobs(self._context.ledger.unjudged_jobs):
                    tasks.start_soon(self._carry_out, one, self._flag_row)
                self._looked = seen
                await self.bell.wait(seen)

    async def _take_jobs(self, ask: Callable[..., Awaitable[list[DownloadJob]]]) -> list[DownloadJob]:
        room = AT_ONCE - len(self._busy)
        found = await ask(room, without=self._busy | self._left) if room else []
        self._busy.update(one.attempt.number for one in found)
        return found

    async def _carry_out(self, one: DownloadJob, work: Callable[[DownloadJob], Awaitable[None]]) -> None:
        number = one.attempt.number
        try:
            async with self._context.placed.using(one.outputs):
                await self._until_taken(one, work)
        finally:
            self._busy.discard(number)
            self.bell.notify()
            self._finished()

    async def _until_taken(self, one: DownloadJob, work: Callable[[DownloadJob], Awaitable[None]]) -> None:
        """Try again while the disk or a bucket fails; in the end leave the row for another start."""
        waits = self._context.timings.storage_retries
        until = anyio.current_time() + self._context.timings.disk_patience
        for n, wait in enumerate(chain(waits, repeat(waits[-1])), start=1):
            try:
                await work(one)
            except (StorageError, NoAnswer, ObjectsRefused, OSError) as error:
                if anyio.current_time() > until or (n > len(waits) and not is_full(error)):
                    break
                self._say_refused(one, error, wait, n)
                await anyio.sleep(wait)
            else:
                self.refused = None
                return
        self.refused = None
        self._left.add(one.attempt.number)
        self._context.log.notice(f"{one.attempt.id}: left for the next run", Level.WARNING)

    def _say_refused(self, one: DownloadJob, error: Exception, wait: float, times: int) -> None:
        # A bucket that gives no original is no reason to submit nothing: what is fetched is kept.
        self.refused = None if isinstance(error, NoAnswer | ObjectsRefused) else in_words(error)
        weight = Level.WARNING if times <= len(self._context.timings.storage_retries) else Level.DEBUG
        self._context.log.notice(f"{one.attempt.id}: {in_words(error)}; again in {wait:.0f} s", weight)

    async def _finish_row(self, one: DownloadJob) -> None:
        how = finish_of(self._context.model, one.asked)
        outputs = one.outputs
        one = replace(one, outputs=tuple(output for output in outputs if output.raw))
        there = await self._find_kept(one)
        if len(there) < len(one.outputs):
            return
        try:
            made = None if how is None else await self._make_judged(one, how, there)
        except BadPicture as error:
            await self._deliver_raw(one, there, outputs, f"not finished: {error}")
            return
        if made is None:
            await self._deliver_raw(one, there, outputs, None)
            return
        with anyio.CancelScope(shield=True):
            await self._placer.place_outputs(one.attempt, made, outputs)

    async def _find_kept(self, one: DownloadJob) -> list[StagedFile]:
        """Return the raw outputs of *one* that are there; the others are to be fetched once more."""
        kept = [await self._context.placed.find_kept(output) for output in one.outputs]
        if not all(kept):
            away = [output for output, written in zip(one.outputs, kept, strict=True) if written is None]
            gone = [replace(output, raw=None, raw_sha256=None) for output in away]
            await self._context.ledger.record_kept(one.attempt, gone)
        return [written for written in kept if written is not None]

    async def make_files(self, one: DownloadJob, how: Finish) -> list[Downloaded]:
        """Return the files finished of a row's raw outputs, kept or in their places; not yet in theirs.

        What they were judged to be stays. Raises BadPicture when one cannot be made of what is there, OSError
        when the disk does not take it, ObjectsRefused and NoAnswer when an original cannot be read now.
        """
        async with self._hold_files(one) as files:
            return await self._make_files(one, files, how, None)

    async def _make_judged(
        self, one: DownloadJob, how: Finish, there: Sequence[StagedFile]
    ) -> list[Downloaded]:
        async with self._hold_files(one) as files:
            flags = self._flag_task(one, files, [written.path for written in there])
            return await self._make_files(one, files, how, flags)

    @asynccontextmanager
    async def _hold_files(self, one: DownloadJob) -> AsyncIterator[Mapping[str, LocalFile]]:
        """Give the files that *one* was made of. Raises BadPicture where an object is another now."""
        try:
            async with self._context.copies.hold(one.asked.files) as files:
                yield files
        except ObjectGone as error:
            raise BadPicture(str(error)) from error

    async def _make_files(
        self, one: DownloadJob, files: Mapping[str, LocalFile], how: Finish, flags: FlagTask | None
    ) -> list[Downloaded]:
        if not one.outputs:
            return []
        spare = self._context.store.spare_path
        tasks = tuple(self._make_task(one, files, output, how, spare()) for output in one.outputs)
        try:
            row = await self._finish_judged(one, RowTask(tasks, flags))
        except BaseException:
            for task in tasks:
                task.target.unlink(missing_ok=True)
            raise
        made = []
        for output, task, file, words in zip(one.outputs, tasks, row.files, row.flags, strict=True):
            self.largest = max(self.largest, file.size)
            finished = replace(output, finished_with=how.settings, finished_as=file.made_as)
            finished = finished if flags is None else replace(finished, flags=words)
            made.append(Downloaded(finished, StagedFile(task.target, file.size, file.sha256), file.picture))
        return made

    async def _finish_judged(self, one: DownloadJob, task: RowTask) -> FinishedRow:
        """Have *task* done; where judging keeps the row from being finished, without it."""
        try:
            row = await self._context.pixels.do(finish_row, task)
        except BadPicture as error:
            if task.flags is None:
                raise
            # It may have been the judge who took the process along.
            row = await self._context.pixels.do(finish_row, replace(task, flags=None))
            row = row._replace(unjudged=str(error))
        if row.unjudged is not None:
            self._context.log.debug(f"{one.attempt.id}: not judged: {row.unjudged}")
        return row

    def _make_task(
        self, one: DownloadJob, files: Mapping[str, LocalFile], output: Output, how: Finish, target: Path
    ) -> FinishTask:
        model, raw = self._context.model, output.raw or output.file
        mask = model.mask_of(one.asked.inputs, files)
        assert raw is not None
        assert mask is not None
        return FinishTask(
            raw=self._context.store.folder / raw,
            picture=files[model.image_field or ""],
            mask=mask,
            pixels=how.pixels,
            area=one.attempt.area,
            target=target,
            format=how.format,
            note=note_of(model, one, output) if how.pixels.metadata else {},
            thumbs=self._context.store.folder / FOLDER,
        )

    async def _deliver_raw(
        self, one: DownloadJob, kept: Sequence[StagedFile], outputs: Sequence[Output], error: str | None
    ) -> None:
        """Put the outputs themselves in the places of the files that were to be made of them.

        *outputs*: all that the service named.
        """
        if error is not None:
            self._context.log.notice(f"{one.attempt.id}: {error}", Level.WARNING)
        fetched = []
        for output, written in zip(one.outputs, kept, strict=True):
            picture = await self._context.workers.do(decode_whole, written.path)
            fetched.append(Downloaded(replace(output, raw=None, raw_sha256=None), written, picture))
        with anyio.CancelScope(shield=True):
            await self._placer.place_outputs(one.attempt, fetched, outputs, error=error)

    async def _flag_row(self, one: DownloadJob) -> None:
        folder = self._context.store.folder
        await self._context.placed.bring_here(one.outputs)
        placed = [(output, output.file) for output in one.outputs if output.file is not None]
        paths = [folder / (output.raw or file) for output, file in placed]
        found = await self._flags_of(one, paths)
        judged = [replace(output, flags=words) for (output, _), words in zip(placed, found, strict=True)]
        if await self._context.ledger.record_judged(judged, redo=self._context.redo_rule):
            self._context.log.debug(f"{one.attempt.id}: {MADE_AGAIN}")

    async def _flags_of(self, one: DownloadJob, outputs: Sequence[Path]) -> tuple[tuple[str, ...], ...]:
        """Return the flags of a row's outputs; none where they cannot be told."""
        try:
            async with self._hold_files(one) as files:
                return await self._context.pixels.do(flag_outputs, self._flag_task(one, files, outputs))
        except BadPicture as error:
            self._context.log.debug(f"{one.attempt.id}: not judged: {error}")
            return tuple(() for _ in outputs)

    def _flag_task(
        self, one: DownloadJob, files: Mapping[str, LocalFile], outputs: Sequence[Path]
    ) -> FlagTask:
        model = self._context.model
        mask = model.mask_of(one.asked.inputs, files)
        return FlagTask(
            outputs=tuple(outputs),
            picture=_input_path(files, model.image_field),
            mask=mask.path if isinstance(mask, LocalFile) else mask,
            pixels=model.pixels(one.asked.inputs),
            area=one.attempt.area,
            rule=model.size_rule,
            inputs=tuple(model.without_pixels(one.asked.inputs).items()),
        )


def note_of(model: Model, one: DownloadJob, output: Output) -> dict[str, str]:
    """Return what a finished file tells of itself."""
    return {
        # As it was sent: a redo has another prompt than its row.
        "prompt": str(one.attempt.sent.get(model.prompt_field or "", "")),
        "seed": "" if one.attempt.seed is None else str(one.attempt.seed),
        "model": model.name,
        "prediction": f"{output.prediction_id}, output {output.n}",
        "row": one.attempt.id,
        "software": f"batchfill {__version__}",
    }


def _input_path(files: Mapping[str, LocalFile], name: str | None) -> Path | None:
    file = files.get(name or "")
    return None if file is None else file.path
