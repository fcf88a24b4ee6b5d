"""Outputs that are kept become finished pictures, and every picture is judged. Needs no service."""

from __future__ import annotations

import os
from dataclasses import replace
from functools import cached_property
from itertools import chain, repeat
from typing import TYPE_CHECKING

import anyio

from batchfill.catalog.finish import finish_of
from batchfill.domain.progress import Level
from batchfill.errors import (
    BadPicture,
    NoAnswer,
    ObjectsRefused,
    StorageError,
    in_words,
    is_full,
)
from batchfill.images.codec.decode import decode_whole
from batchfill.run.placement import MADE_AGAIN
from batchfill.storage.downloaded import Downloaded
from batchfill.storage.made_files import OutputGone
from batchfill.wakeup import Wakeup

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from batchfill.domain.predictions import Output
    from batchfill.domain.rows import DownloadJob
    from batchfill.finishing.file_context import FileContext
    from batchfill.finishing.row_finisher import RowFinisher
    from batchfill.run.placement import OutputPlacer
    from batchfill.storage.staged_file import StagedFile

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

    @cached_property
    def _finisher(self) -> RowFinisher:
        # Rows at addresses are not finished, and what works on pixels takes long to load.
        from batchfill.finishing.row_finisher import RowFinisher

        return RowFinisher(self._context)

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
        cluster = self._context.cluster
        room = AT_ONCE + (0 if cluster is None else cluster.window) - len(self._busy)
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
        # A worker of a cluster finds out by itself what is there: no byte of it has to come here.
        if not self._finisher.is_elsewhere(one) and await self._find_kept(one) is None:
            return
        try:
            made = None if how is None else await self._finisher.finish(one, how, judged=True)
        except OutputGone:
            if await self._find_kept(one) is not None:
                raise
            return
        except BadPicture as error:
            await self._deliver_raw(one, outputs, f"not finished: {error}")
            return
        if made is None:
            await self._deliver_raw(one, outputs, None)
            return
        self.largest = max([self.largest, *(file.written.size for file in made)])
        with anyio.CancelScope(shield=True):
            await self._placer.place_outputs(one.attempt, made, outputs)

    async def _find_kept(self, one: DownloadJob) -> list[StagedFile] | None:
        """Return the raw outputs of *one*, brought here; None: those that are gone are fetched once more."""
        kept = [await self._context.placed.find_kept(output) for output in one.outputs]
        there = [written for written in kept if written is not None]
        if len(there) == len(kept):
            return there
        away = [output for output, written in zip(one.outputs, kept, strict=True) if written is None]
        gone = [replace(output, raw=None, raw_sha256=None) for output in away]
        await self._context.ledger.record_kept(one.attempt, gone)
        return None

    async def _deliver_raw(self, one: DownloadJob, outputs: Sequence[Output], error: str | None) -> None:
        """Put the outputs themselves in the places of the files that were to be made of them.

        *outputs*: all that the service named.
        """
        if (kept := await self._find_kept(one)) is None:
            return
        if error is not None:
            self._context.log.notice(f"{one.attempt.id}: {error}", Level.WARNING)
        fetched = []
        for output, written in zip(one.outputs, kept, strict=True):
            picture = await self._context.workers.do(decode_whole, written.path)
            fetched.append(Downloaded(replace(output, raw=None, raw_sha256=None), written, picture))
        with anyio.CancelScope(shield=True):
            await self._placer.place_outputs(one.attempt, fetched, outputs, error=error)

    async def _flag_row(self, one: DownloadJob) -> None:
        placed = replace(one, outputs=tuple(output for output in one.outputs if output.file is not None))
        found = await self._finisher.judge(placed)
        judged = [replace(output, flags=words) for output, words in zip(placed.outputs, found, strict=True)]
        if await self._context.ledger.record_judged(judged, redo=self._context.redo_rule):
            self._context.log.debug(f"{one.attempt.id}: {MADE_AGAIN}")
