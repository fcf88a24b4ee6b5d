"""The files that a row's outputs become, made by this machine or by a cluster."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from batchfill.domain.objects import ObjectFile, RemoteFile
from batchfill.errors import BadPicture, ObjectGone
from batchfill.finishing.object_finishing import ObjectsTask, work_on_objects
from batchfill.finishing.row_recipe import RowRecipe
from batchfill.images.codec.thumbnail import FOLDER
from batchfill.images.finished_row import finish_row
from batchfill.images.quality.flags import flag_outputs
from batchfill.storage.downloaded import Downloaded
from batchfill.storage.made_files import MadeFile, OutputGone
from batchfill.storage.remote_files import RemoteTask, put_file
from batchfill.storage.staged_file import StagedFile

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence
    from pathlib import Path

    from batchfill.catalog.finish import Finish
    from batchfill.domain.predictions import Output
    from batchfill.domain.rows import DownloadJob, LocalFile
    from batchfill.finishing.file_context import FileContext
    from batchfill.images.finished_row import FinishedRow
    from batchfill.workers.pool import Workers

    _Made = tuple[FinishedRow, Sequence[StagedFile | MadeFile]]


class RowFinisher:
    """Has rows finished and judged. What it makes is not in its place yet."""

    def __init__(self, context: FileContext) -> None:
        self._context = context

    def is_elsewhere(self, one: DownloadJob) -> bool:
        """Whether a cluster works on *one*: nothing of it has to be here."""
        return self._elsewhere(one) is not None

    async def finish(self, one: DownloadJob, how: Finish, *, judged: bool) -> list[Downloaded]:
        """Return the files finished of a row's raw outputs, kept or in their places.

        *judged*: whether they are judged, too; else what they were judged to be stays. Raises BadPicture when
        one cannot be made of what is there, OSError when the disk does not take it, ObjectsRefused and
        NoAnswer when an original cannot be read now, OutputGone when an output is not in the bucket.
        """
        if not one.outputs:
            return []
        row, files = await self._finish_judged(one, how, judged=judged)
        made = []
        for output, written, file, words in zip(one.outputs, files, row.files, row.flags, strict=True):
            finished = replace(output, finished_with=how.settings, finished_as=file.made_as)
            finished = replace(finished, flags=words) if judged else finished
            made.append(Downloaded(finished, written, file.picture))
        return made

    async def judge(self, one: DownloadJob) -> tuple[tuple[str, ...], ...]:
        """Return the flags of each output of *one*, which are all there; none where they cannot be told."""
        recipe = RowRecipe.of(self._context.model, one, None)
        try:
            if (workers := self._elsewhere(one)) is not None:
                row = await workers.do(work_on_objects, await self._put_outputs(one, recipe, judged=True))
                return row.flags
            await self._context.placed.bring_here(one.outputs)
            async with self._hold_files(one) as files:
                return await self._context.pixels.do(flag_outputs, recipe.flag_task(files, self._raws(one)))
        except (BadPicture, ObjectGone) as error:
            self._context.log.debug(f"{one.attempt.id}: not judged: {error}")
            return tuple(() for _ in one.outputs)

    async def _finish_judged(self, one: DownloadJob, how: Finish, *, judged: bool) -> _Made:
        """Have *one* finished; where judging keeps it from being finished, without it."""
        make = self._make_elsewhere if self.is_elsewhere(one) else self._make_here
        try:
            row, files = await make(one, how, judged=judged)
        except BadPicture as error:
            if not judged:
                raise
            # It may have been the judge who took the process along.
            row, files = await make(one, how, judged=False)
            row = row._replace(unjudged=str(error))
        if row.unjudged is not None:
            self._context.log.debug(f"{one.attempt.id}: not judged: {row.unjudged}")
        return row, files

    async def _make_here(self, one: DownloadJob, how: Finish, *, judged: bool) -> _Made:
        context = self._context
        recipe = RowRecipe.of(context.model, one, how)
        targets = [context.store.spare_path() for _ in one.outputs]
        try:
            async with self._hold_files(one) as files:
                thumbs = context.store.folder / FOLDER
                task = recipe.row_task(files, self._raws(one), targets, thumbs=thumbs, judged=judged)
                row = await context.pixels.do(finish_row, task)
        except BaseException:
            for target in targets:
                target.unlink(missing_ok=True)
            raise
        made = zip(targets, row.files, strict=True)
        return row, [StagedFile(target, file.size, file.sha256) for target, file in made]

    async def _make_elsewhere(self, one: DownloadJob, how: Finish, *, judged: bool) -> _Made:
        workers, recipe = self._elsewhere(one), RowRecipe.of(self._context.model, one, how)
        assert workers is not None
        try:
            row = await workers.do(work_on_objects, await self._put_outputs(one, recipe, judged=judged))
        except ObjectGone as error:
            raise BadPicture(str(error)) from error
        except OutputGone:
            # It may have been put, and removed there: the next try puts what is here once more.
            for file in filter(self._context.store.is_here, map(_raw_of, one.outputs)):
                await self._context.ledger.record_remote_gone(file)
            raise
        return row, [MadeFile(file.size, file.sha256) for file in row.files]

    def _raws(self, one: DownloadJob) -> list[Path]:
        return [self._context.store.folder / _raw_of(output) for output in one.outputs]

    @asynccontextmanager
    async def _hold_files(self, one: DownloadJob) -> AsyncIterator[Mapping[str, LocalFile]]:
        """Give the files that *one* was made of. Raises BadPicture where an object is another now."""
        try:
            async with self._context.copies.hold(one.asked.files) as files:
                yield files
        except ObjectGone as error:
            raise BadPicture(str(error)) from error

    def _elsewhere(self, one: DownloadJob) -> Workers | None:
        """Return the cluster, where it reaches what *one* was made of and can leave what it makes."""
        context = self._context
        return None if context.placed.root is None else context.cluster_for(one.asked.files)

    async def _put_outputs(self, one: DownloadJob, recipe: RowRecipe, *, judged: bool) -> ObjectsTask:
        """Return the task for other machines, once they find the outputs of *one* in the bucket."""
        context, root = self._context, self._context.placed.root
        assert root is not None
        outputs = tuple(RemoteFile(_raw_of(made), made.raw_sha256 or made.sha256) for made in one.outputs)
        for due in await context.ledger.remote_due_among(output.file for output in outputs):
            # What is not here waits in the bucket for its place, and is found there.
            if context.store.is_here(due.file):
                await self._put_output(root, due)
        files = {name: file for name, file in one.asked.files.items() if isinstance(file, ObjectFile)}
        return ObjectsTask(recipe, files, root, outputs, judged)

    async def _put_output(self, root: str, due: RemoteFile) -> None:
        context, path = self._context, self._context.store.folder / due.file
        assert due.wanted is not None
        await context.ledger.record_remote_begun(due.file)
        put = await context.pixels.do(put_file, RemoteTask(f"{root}{due.file}", path, due.wanted))
        if put is None:
            raise BadPicture(f"{due.file} is not what the service sent")
        await context.ledger.record_remote_put(due, put.etag)
        await context.placed.note_copy(due.file, due.wanted, put.size)


def _raw_of(output: Output) -> str:
    """Return where an output is as the service sent it, relative to the batch folder."""
    name = output.raw or output.file
    assert name is not None
    return name
