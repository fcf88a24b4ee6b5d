"""Pictures that are done are finished anew, as their rows now ask for: without cost and network."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import anyio

from batchfill import filenames
from batchfill.domain.progress import Weight
from batchfill.domain.reports import FinishReport
from batchfill.errors import BadPicture, FolderFailed, UsageError
from batchfill.images.codec.decode import whole
from batchfill.ledger.digests import open_digests
from batchfill.ledger.location import LEDGER
from batchfill.manifest.local_files import digest_file
from batchfill.run.placement import Fetched, Placing
from batchfill.run.postprocess.postprocessor import AT_ONCE, Finishing, finish_of
from batchfill.session.ingest import take_in

if TYPE_CHECKING:
    from collections.abc import Sequence

    from batchfill.domain.predictions import Output
    from batchfill.domain.rows import Collectable
    from batchfill.manifest.manifest import Manifest
    from batchfill.run.context import Bench
    from batchfill.run.postprocess.postprocessor import Finish
    from batchfill.settings.settings import Settings


async def finish_anew(bench: Bench, manifest: Manifest, settings: Settings, now: float) -> FinishReport:
    """Take in what the rows ask for now, and finish those that are done accordingly. Raises ManifestError."""
    ledger = bench.ledger
    async with ledger.intake() as intake:
        with open_digests(settings.folder / LEDGER, digest_file, lambda: now) as digests:
            reading = await take_in(intake, manifest, bench.model, settings, digests)
        reading.refuse_mistakes(skip_bad=settings.skip_bad)
        await intake.drop_duplicates()
        if changed := (await intake.compare()).changed:
            # What they cost is for `run` to say, which could not tell them from new ones afterwards.
            raise UsageError(
                f"{changed} finished rows ask for something else now, which has to be paid for: "
                "take that back, or `run` first"
            )
        await intake.merge(now)
    placing = Placing(bench, many=sum(ledger.counts.values()) > filenames.MANY_ROWS)
    finishing = Finishing(bench, placing, finished=lambda: None)
    return await Refinishing(bench, placing, finishing).all()


@dataclass(slots=True)
class _Tally:
    finished: int = 0
    unchanged: int = 0
    failed: int = 0


class Refinishing:
    """Goes through every row that is done and asks for finished pictures."""

    def __init__(self, tools: Bench, placing: Placing, finishing: Finishing) -> None:
        self._tools = tools
        self._placing = placing
        self._finishing = finishing
        self._tally = _Tally()
        self._refused: str | None = None

    async def all(self) -> FinishReport:
        """Finish what is not finished as its row asks for. Raises UsageError when the disk takes no more."""
        after = 0
        while rows := await self._tools.ledger.finished(AT_ONCE, after=after):
            after = rows[-1].attempt.number
            async with anyio.create_task_group() as tasks:
                for one in rows:
                    tasks.start_soon(self._look_at, one)
            if self._refused is not None:
                raise UsageError(f"{self._refused}; then run `finish` again, which goes on with the rest")
        return FinishReport(self._tally.finished, self._tally.unchanged, self._tally.failed)

    async def _look_at(self, one: Collectable) -> None:
        how = finish_of(self._tools.model, one.asked)
        if how is None:
            return
        named = one.outputs
        one = replace(one, outputs=tuple(output for output in named if output.file is not None))
        if all(output.finished_with == how.settings for output in one.outputs):
            self._tally.unchanged += 1
            return
        try:
            await self._finish(one, how, named)
        except BadPicture as error:
            self._tally.failed += 1
            self._tools.telling.say(f"{one.attempt.id}: not finished: {error}", Weight.WARNING)
        except (FolderFailed, OSError) as error:
            self._refused = f"{one.attempt.id}: {error}"
        else:
            self._tally.finished += 1

    async def _finish(self, one: Collectable, how: Finish, named: Sequence[Output]) -> None:
        """Finish the outputs of *one* that are there; *named*: all that the service named."""
        found = None
        if not all(output.raw for output in one.outputs):
            found = [await self._found(output) for output in one.outputs]
        elif not all([await self._tools.shelf.kept(output) for output in one.outputs]):
            raise BadPicture("the output that the service sent is gone from outputs/raw")
        made = await self._finishing.make(one, how)
        with anyio.CancelScope(shield=True):
            if found is not None:
                kept = await self._placing.keep(one.attempt, found)
                made = [_made_of(m, output) for m, output in zip(made, kept, strict=True)]
            placed = await self._placing.place(one.attempt, made, named)
            for before, now in zip(one.outputs, placed, strict=True):
                if before.file != now.file:
                    await self._tools.shelf.remove(before)

    async def _found(self, output: Output) -> Fetched:
        """Return the file of a row that was not finished before: the output itself."""
        written = await self._tools.shelf.in_place(output)
        if written is None:
            raise BadPicture(f"{output.file} is gone or was changed")
        return Fetched(output, written, await self._tools.workers.do(whole, written.path))


def _made_of(made: Fetched, kept: Output) -> Fetched:
    return replace(made, output=replace(made.output, raw=kept.raw, raw_sha256=kept.raw_sha256))
