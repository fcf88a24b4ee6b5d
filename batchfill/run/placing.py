"""Whole files get their names below `outputs/`, and `outputs/earlier/` takes what they replace."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import anyio

from batchfill import names
from batchfill.images.look import whole
from batchfill.run.shelf import OUTPUTS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from batchfill.run.shelf import Written
    from batchfill.run.tools import Tools
    from batchfill.values import Attempt, Output, Picture


@dataclass(frozen=True, slots=True)
class Fetched:
    """An output that was fetched, flushed to disk and decoded; not in its place yet."""

    output: Output
    written: Written
    picture: Picture


class Placing:
    """Puts files where the manifest's ids say."""

    def __init__(self, tools: Tools, *, many: bool) -> None:
        """*many*: outputs go to sub-folders."""
        self._tools = tools
        self._many = many

    async def place(self, attempt: Attempt, fetched: Sequence[Fetched]) -> None:
        """Put every file of *attempt* in its place, and record the row as done."""
        tools = self._tools
        # A row that was edited away must not take the place of the one that has its id now.
        displaced = await tools.ledger.is_named_by_another(attempt, names.fold(attempt.id))
        if not displaced:
            await self._clear_way(attempt)
        planned = [self._plan(attempt, one, len(fetched), displaced=displaced) for one in fetched]
        await tools.ledger.record_planned(planned)
        placed = []
        for output, one in zip(planned, fetched, strict=True):
            assert output.planned is not None
            await tools.shelf.place(one.written, output.planned)
            placed.append((replace(output, file=output.planned), one.picture.width, one.picture.height))
        await self._record(attempt, placed, in_place=not displaced)

    async def find(self, attempt: Attempt, outputs: Sequence[Output]) -> bool:
        """Record the row as done when a run that died put its files in place, all of them; else False."""
        found = await self._found(outputs)
        if not found or len(found) < len(outputs):
            return False
        await self._record(attempt, found)
        return True

    async def salvage(self, attempt: Attempt, outputs: Sequence[Output]) -> bool:
        """Record the row as done with those files that are in place, when there will be no others."""
        found = await self._found(outputs)
        if found:
            await self._record(attempt, found)
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

    def _plan(self, attempt: Attempt, one: Fetched, made: int, *, displaced: bool) -> Output:
        planned = self._name(attempt, one.output, one.picture.suffix, made)
        if displaced:
            planned = self._tools.shelf.earlier_name(replace(one.output, file=planned))
        return replace(one.output, planned=planned, size=one.written.size, sha256=one.written.sha256)

    def _name(self, attempt: Attempt, output: Output, suffix: str, made: int) -> str:
        # A service may make more than was asked for: each needs a name of its own.
        asked = max(attempt.outputs_asked, made)
        return f"{OUTPUTS}/{names.output_name(attempt.id, output.n, asked, suffix, many=self._many)}"

    async def _found(self, outputs: Sequence[Output]) -> list[tuple[Output, int, int]]:
        """Return those outputs that stand, unchanged, where they were about to be put, with their sizes."""
        found = []
        for output in outputs:
            if output.planned is not None and await self._tools.shelf.has(output.planned, output.sha256):
                path = self._tools.shelf.folder / output.planned
                picture = await self._tools.workers.do(whole, path)
                found.append((replace(output, file=output.planned), picture.width, picture.height))
        return found

    async def _record(
        self, attempt: Attempt, placed: Sequence[tuple[Output, int, int]], *, in_place: bool = True
    ) -> None:
        fewer = f"{len(placed)} of {attempt.outputs_asked} pictures: the service left the others out"
        error = fewer if len(placed) < attempt.outputs_asked else None
        await self._tools.ledger.record_collected(attempt, placed, error, in_place=in_place)
        files = ", ".join(output.file or "" for output, _, _ in placed)
        self._tools.telling.log(f"{attempt.id}: done, {files}")

    async def _clear_way(self, attempt: Attempt) -> None:
        """Move files that stand under the attempt's id, but are not its, to `outputs/earlier/`."""
        for output in await self._tools.ledger.outputs_in_the_way(attempt, names.fold(attempt.id)):
            await self._move(output, self._tools.shelf.earlier_name(output))

    async def _outputs_of(self, attempt: Attempt) -> list[Output]:
        assert attempt.prediction_id is not None
        return await self._tools.ledger.outputs_of(attempt.prediction_id)

    async def _move(self, output: Output, file: str) -> None:
        if output.file is not None and output.file != file:
            with anyio.CancelScope(shield=True):
                await self._tools.shelf.move(output.file, file)
                await self._tools.ledger.record_moved(output, file)
