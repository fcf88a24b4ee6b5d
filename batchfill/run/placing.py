"""Whole files get their names below `outputs/`, and `outputs/earlier/` takes what they replace."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import anyio

from batchfill import names
from batchfill.images.look import whole
from batchfill.run.shelf import OUTPUTS, RAW

if TYPE_CHECKING:
    from collections.abc import Sequence

    from batchfill.run.shelf import Written
    from batchfill.run.tools import Bench
    from batchfill.values import Attempt, Output, Picture


LEFT_OUT = "the service left the others out"
REMOVED = "the service has removed the others"
"""What became of pictures that were asked for and are not there."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """A file that was fetched or made, flushed to disk and decoded; not in its place yet."""

    output: Output
    written: Written
    picture: Picture


class Placing:
    """Puts files where the manifest's ids say."""

    def __init__(self, tools: Bench, *, many: bool) -> None:
        """*many*: outputs go to sub-folders."""
        self._tools = tools
        self._many = many

    async def keep(self, attempt: Attempt, fetched: Sequence[Fetched]) -> list[Output]:
        """Put every output of *attempt* where raw ones are kept, for files to be made of them; return it."""
        tools = self._tools
        planned = [self._plan_raw(one) for one in fetched]
        await tools.ledger.record_planned(planned)
        kept = []
        for output, one in zip(planned, fetched, strict=True):
            assert output.planned is not None
            await tools.shelf.place(one.written, output.planned)
            kept.append(replace(output, raw=output.planned, raw_sha256=output.sha256))
        await tools.ledger.record_kept(attempt, kept)
        return kept

    async def kept(self, outputs: Sequence[Output]) -> list[Written] | None:
        """Return the files in which all *outputs* are kept; None when one is not there as it was."""
        found = [written for output in outputs if (written := await self._tools.shelf.kept(output))]
        return found if outputs and len(found) == len(outputs) else None

    async def keep_found(self, attempt: Attempt, outputs: Sequence[Output]) -> bool:
        """Keep what a run that died had fetched to be kept, when that is every output; else False."""
        return await self._keep_found(attempt, outputs, least=len(outputs))

    async def keep_salvaged(self, attempt: Attempt, outputs: Sequence[Output]) -> bool:
        """Keep whatever a run that died had fetched, when there will be nothing else; False: nothing."""
        return await self._keep_found(attempt, outputs, least=1)

    async def place(
        self,
        attempt: Attempt,
        fetched: Sequence[Fetched],
        *,
        others: str = LEFT_OUT,
        error: str | None = None,
    ) -> list[Output]:
        """Put every file of *attempt* in its place, record the row as done, and return them.

        *others*: what became of those that were asked for and are not there; *error*: what else is to be
        said of the row.
        """
        tools = self._tools
        # A row that was edited away must not take the place of the one that has its id now.
        displaced = not await self._clear_way(attempt)
        planned = [self._plan(attempt, one, len(fetched), displaced=displaced) for one in fetched]
        await tools.ledger.record_planned(planned)
        placed = []
        for output, one in zip(planned, fetched, strict=True):
            assert output.planned is not None
            over = one.output.sha256 if one.output.file == output.planned else None
            await tools.shelf.place(one.written, output.planned, over=over)
            placed.append((replace(output, file=output.planned), one.picture.width, one.picture.height))
        fewer = f"{len(placed)} of {attempt.outputs_asked} pictures: {others}"
        said = [error or "", fewer if len(placed) < attempt.outputs_asked else ""]
        await self._record(attempt, placed, "; ".join(filter(None, said)) or None, in_place=not displaced)
        return [output for output, _, _ in placed]

    async def find(self, attempt: Attempt, outputs: Sequence[Output]) -> bool:
        """Place what a run that died had fetched, when that is every file; else False."""
        found = await self._found(attempt, outputs)
        if not found or len(found) < len(outputs):
            return False
        await self.place(attempt, found)
        return True

    async def salvage(self, attempt: Attempt, outputs: Sequence[Output]) -> bool:
        """Place whatever a run that died had fetched, when there will be nothing else; False: nothing."""
        found = await self._found(attempt, outputs)
        if found:
            await self.place(attempt, found, others=REMOVED)
        return bool(found)

    async def rename_all(self) -> None:
        """Give files the present ids of their rows, after ids were changed in the manifest."""
        renamed = await self._tools.ledger.misnamed()
        # Two steps, since rows may have swapped their ids.
        for attempt in renamed:
            for output in await self._outputs_of(attempt):
                await self._move(output, self._tools.shelf.earlier_name(output))
        for attempt in renamed:
            await self._clear_way(attempt)
            outputs = await self._outputs_of(attempt)
            for output in outputs:
                suffix = PurePosixPath(output.file or "").suffix
                await self._move(output, self._name(attempt, output, suffix, len(outputs)))
            await self._tools.ledger.record_renamed(attempt)

    def _plan_raw(self, one: Fetched) -> Output:
        place = self._tools.shelf.raw_name(one.output, one.picture.suffix)
        return replace(one.output, planned=place, size=one.written.size, sha256=one.written.sha256)

    async def _keep_found(self, attempt: Attempt, outputs: Sequence[Output], *, least: int) -> bool:
        found = []
        for output in outputs:
            written = None
            if (output.planned or "").startswith(RAW):
                written = await self._tools.shelf.find(output)
            if written is not None:
                picture = await self._tools.workers.do(whole, written.path)
                found.append(Fetched(output, written, picture))
        if len(found) < max(least, 1):
            return False
        await self.keep(attempt, found)
        return True

    def _plan(self, attempt: Attempt, one: Fetched, made: int, *, displaced: bool) -> Output:
        planned = self._name(attempt, one.output, one.picture.suffix, made)
        if displaced:
            planned = self._tools.shelf.earlier_name(replace(one.output, file=planned))
        return replace(one.output, planned=planned, size=one.written.size, sha256=one.written.sha256)

    def _places(self, attempt: Attempt, output: Output, made: int) -> tuple[str, str]:
        """Return where the output belongs by the row's present id, and where it goes when that is taken."""
        place = self._name(attempt, output, PurePosixPath(output.planned or "").suffix, made)
        return place, self._tools.shelf.earlier_name(replace(output, file=place))

    def _name(self, attempt: Attempt, output: Output, suffix: str, made: int) -> str:
        # A service may make more than was asked for: each needs a name of its own.
        asked = max(attempt.outputs_asked, made)
        return f"{OUTPUTS}/{names.output_name(attempt.id, output.n, asked, suffix, many=self._many)}"

    async def _found(self, attempt: Attempt, outputs: Sequence[Output]) -> list[Fetched]:
        # Placed once more, even where they stand: the dead run may not have flushed the name.
        found = []
        for output in outputs:
            # After an edit its place is another row's, which may be about to clear it.
            kept = output.planned in self._places(attempt, output, len(outputs))
            written = await self._tools.shelf.find(output if kept else replace(output, planned=None))
            if written is not None:
                picture = await self._tools.workers.do(whole, written.path)
                found.append(Fetched(output, written, picture))
        return found

    async def _record(
        self,
        attempt: Attempt,
        placed: Sequence[tuple[Output, int, int]],
        error: str | None,
        *,
        in_place: bool,
    ) -> None:
        await self._tools.ledger.record_collected(attempt, placed, error, in_place=in_place)
        files = ", ".join(output.file or "" for output, _, _ in placed)
        self._tools.telling.log(f"{attempt.id}: done, {files}")

    async def _clear_way(self, attempt: Attempt) -> bool:
        """Move files that stand under the attempt's id, but are not its, to `outputs/earlier/`.

        False: they stand there by right.
        """
        in_the_way = await self._tools.ledger.outputs_in_the_way(attempt, names.fold(attempt.id))
        for output in in_the_way or ():
            await self._move(output, self._tools.shelf.earlier_name(output))
        return in_the_way is not None

    async def _outputs_of(self, attempt: Attempt) -> list[Output]:
        assert attempt.prediction_id is not None
        return await self._tools.ledger.outputs_of(attempt.prediction_id)

    async def _move(self, output: Output, file: str) -> None:
        if output.file is not None and output.file != file:
            with anyio.CancelScope(shield=True):
                await self._tools.shelf.move(output.file, file)
                await self._tools.ledger.record_moved(output, file)
