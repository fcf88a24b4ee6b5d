"""Pictures that are done are finished once more, as their rows now ask for: without cost and network."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import anyio

from batchfill.catalog.finish import finish_of
from batchfill.domain.progress import Level
from batchfill.domain.reports import FinishReport
from batchfill.domain.rows import RowState
from batchfill.errors import BadPicture, NoAnswer, ObjectsRefused, StorageError, UsageError
from batchfill.finishing.row_finisher import RowFinisher
from batchfill.images.codec.decode import decode_whole
from batchfill.ledger.digests import open_digests
from batchfill.ledger.location import LEDGER
from batchfill.manifest.local_files import digest_file
from batchfill.run.placement import OutputPlacer
from batchfill.run.postprocess.postprocessor import AT_ONCE
from batchfill.run.remote_outputs import RemoteOutputs
from batchfill.session.ingest import ingest_rows
from batchfill.storage.downloaded import Downloaded
from batchfill.storage.object_finder import open_finder

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from batchfill.catalog.finish import Finish
    from batchfill.domain.predictions import Output
    from batchfill.domain.rows import DownloadJob
    from batchfill.finishing.file_context import FileContext
    from batchfill.manifest.manifest import Manifest
    from batchfill.settings.settings import Settings


async def refinish_rows(
    context: FileContext,
    manifest: Manifest,
    settings: Settings,
    now: float,
    count: Callable[[int, int], None],
) -> FinishReport:
    """Take in what the rows ask for now, and finish those that are done accordingly. Raises ManifestError.

    *count* is told now and then how many rows were looked at, and of how many.
    """
    ledger = context.ledger
    async with ledger.open_import() as intake:
        digests = open_digests(settings.folder / LEDGER, digest_file, lambda: now)
        with digests as known, open_finder() as finder:
            reading = await ingest_rows(intake, manifest, context.model, settings, known, finder.find_object)
        reading.refuse_mistakes(skip_bad=settings.skip_bad)
        await intake.drop_duplicates()
        if changed := (await intake.compare_rows()).changed:
            # What they cost is for `run` to say, which could not tell them from new ones afterwards.
            raise UsageError(
                f"{changed} finished rows ask for something else now, which has to be paid for: "
                "take that back, or `run` first"
            )
        await intake.merge_rows(now)
    placer = OutputPlacer(context)
    report = await Refinisher(context, placer, count).refinish_all()
    await RemoteOutputs(context).put_all()
    return report


@dataclass(slots=True)
class _Tally:
    finished: int = 0
    unchanged: int = 0
    failed: int = 0


class Refinisher:
    """Goes through every row that is done and asks for finished pictures."""

    def __init__(self, context: FileContext, placer: OutputPlacer, count: Callable[[int, int], None]) -> None:
        self._context = context
        self._count = count
        self._looked_at = 0
        self._placer = placer
        self._finisher = RowFinisher(context)
        self._tally = _Tally()
        self._refused: str | None = None

    async def refinish_all(self) -> FinishReport:
        """Finish what is not finished as its row asks for. Raises UsageError when the disk takes no more."""
        after, of = 0, self._context.ledger.counts[RowState.DONE]
        while rows := await self._context.ledger.finished_jobs(AT_ONCE, after=after):
            after = rows[-1].attempt.number
            async with anyio.create_task_group() as tasks:
                for one in rows:
                    tasks.start_soon(self._look_at, one)
            self._looked_at += len(rows)
            self._count(self._looked_at, max(of, self._looked_at))
            if self._refused is not None:
                raise UsageError(f"{self._refused}; then run `finish` again, which goes on with the rest")
        return FinishReport(self._tally.finished, self._tally.unchanged, self._tally.failed)

    async def _look_at(self, one: DownloadJob) -> None:
        how = finish_of(self._context.model, one.asked)
        if how is None:
            return
        named = one.outputs
        one = replace(one, outputs=tuple(output for output in named if output.file is not None))
        if all(how.made(output.finished_with) for output in one.outputs):
            self._tally.unchanged += 1
            return
        try:
            async with self._context.placed.using(one.outputs):
                await self._finish_row(one, how, named)
        except BadPicture as error:
            self._tally.failed += 1
            self._context.log.notice(f"{one.attempt.id}: not finished: {error}", Level.WARNING)
        except (StorageError, NoAnswer, ObjectsRefused, OSError) as error:
            self._refused = f"{one.attempt.id}: {error}"
        else:
            self._tally.finished += 1

    async def _finish_row(self, one: DownloadJob, how: Finish, named: Sequence[Output]) -> None:
        """Finish the outputs of *one* that are there; *named*: all that the service named."""
        found = None
        if not all(output.raw for output in one.outputs):
            found = [await self._read_output(output) for output in one.outputs]
        elif not all([await self._context.placed.find_kept(output) for output in one.outputs]):
            raise BadPicture("the output that the service sent is gone from outputs/raw")
        made = await self._finisher.finish(one, how, judged=False)
        with anyio.CancelScope(shield=True):
            if found is not None:
                kept = await self._placer.keep_raw(one.attempt, found)
                made = [_made_of(m, output) for m, output in zip(made, kept, strict=True)]
            placed = await self._placer.place_outputs(one.attempt, made, named)
            for before, now in zip(one.outputs, placed, strict=True):
                if before.file is not None and before.file != now.file:
                    await self._context.ledger.record_remote_unwanted(before.file, before.sha256)
                    await self._context.store.remove_file(before.file, before.sha256)

    async def _read_output(self, output: Output) -> Downloaded:
        """Return the file of a row that was not finished before: the output itself."""
        written = await self._context.placed.find_placed(output)
        if written is None:
            raise BadPicture(f"{output.file} is gone or was changed")
        return Downloaded(output, written, await self._context.workers.do(decode_whole, written.path))


def _made_of(made: Downloaded, kept: Output) -> Downloaded:
    return replace(made, output=replace(made.output, raw=kept.raw, raw_sha256=kept.raw_sha256))
