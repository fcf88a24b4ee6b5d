"""Whole files get their names below `outputs/` as they come; `outputs/earlier/` takes what they replace."""

from __future__ import annotations

from dataclasses import replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import anyio

from batchfill import filenames
from batchfill.domain.predictions import told_lost
from batchfill.images.codec.decode import decode_whole
from batchfill.ledger.output_events import InTheWay
from batchfill.storage.downloaded import Downloaded
from batchfill.storage.made_files import MadeFile
from batchfill.storage.output_store import OUTPUTS, RAW

if TYPE_CHECKING:
    from collections.abc import Sequence

    from batchfill.domain.predictions import Output, Picture
    from batchfill.domain.rows import Attempt
    from batchfill.finishing.file_context import FileContext


MADE_AGAIN = "each of its pictures is flagged: made again with a new seed"


class OutputPlacer:
    """Puts files where the manifest's ids say."""

    def __init__(self, context: FileContext) -> None:
        self._context = context
        self._many = sum(context.ledger.counts.values()) > filenames.MANY_ROWS
        """Whether outputs go to sub-folders."""

    async def find_staged(self, attempt: Attempt, output: Output, named: int) -> Downloaded | None:
        """Return what an earlier run, or an earlier try, had of *output*, if it is there and as it was.

        Raises NoAnswer where a bucket may have it, and does not tell.
        It was kept raw, or written to be kept or placed; or it is the finished file in its place, as its
        *finished_with* then says. *named*: how many outputs the service named.
        """
        if output.sha256 is None and output.raw_sha256 is None:
            return None  # nothing was ever written of it
        shelf, finished = self._context.store, False
        written = await shelf.find_kept(output)
        if written is None:
            ours = self._ours(attempt, output, named)
            written = await shelf.find_staged(ours) or await self._context.placed.find_planned(ours)
            finished = written is not None and written.path == shelf.folder / (output.planned or "")
        if written is None:
            return None
        made = output.finished_with if finished else None
        picture = await self._context.workers.do(decode_whole, written.path)
        how = output.finished_as if finished else None
        return Downloaded(replace(output, finished_with=made, finished_as=how), written, picture)

    async def find_left(self, output: Output) -> Downloaded | None:
        """Return what a worker left of *output*, though no run heard of that. Raises as `find_staged`."""
        if (written := await self._context.placed.find_left(output)) is None:
            return None
        picture = await self._context.workers.do(decode_whole, written.path)
        return Downloaded(replace(output, finished_with=None, finished_as=None), written, picture)

    async def keep_raw(self, attempt: Attempt, fetched: Sequence[Downloaded]) -> list[Output]:
        """Put outputs of *attempt* where raw ones are kept, for files to be made of them; return them."""
        context = self._context
        planned = [self._plan_raw(one) for one in fetched]
        await context.ledger.record_planned(planned)
        kept = []
        for output, one in zip(planned, fetched, strict=True):
            assert output.planned is not None
            await self._commit(one, output.planned)
            kept.append(replace(output, raw=output.planned, raw_sha256=output.sha256))
        await context.ledger.record_kept(attempt, kept)
        return kept

    async def place_outputs(
        self,
        attempt: Attempt,
        fetched: Sequence[Downloaded],
        outputs: Sequence[Output],
        *,
        more: bool = False,
        error: str | None = None,
    ) -> list[Output]:
        """Put files of *attempt* in their places, record the row as done, and return them.

        *outputs*: all that the service named, as the ledger has them. *more*: the row is done only once none
        of them is still to come. *error*: what is to be said of the row apart from what it is without.
        """
        context = self._context
        planned, displaced = await self._record_plans(attempt, fetched, len(outputs))
        placed = []
        for output, one in zip(planned, fetched, strict=True):
            assert output.planned is not None
            over = one.output.sha256 if one.output.file == output.planned else None
            await self._commit(one, output.planned, over=over)
            placed.append((replace(output, file=output.planned), one.picture.width, one.picture.height))
        said = "; ".join(filter(None, (error, told_lost(outputs, attempt.outputs_asked)))) or None
        again = await context.ledger.record_collected(
            attempt, placed, said, in_place=not displaced, more=more, redo=context.redo_rule
        )
        if again:
            context.log.debug(f"{attempt.id}: {MADE_AGAIN}")
        files = ", ".join(output.file or "" for output, _, _ in placed)
        context.log.debug(f"{attempt.id}: {'in place' if more else 'done'}, {files}")
        return [output for output, _, _ in placed]

    async def _commit(self, one: Downloaded, file: str, *, over: str | None = None) -> None:
        """Have *one* be what counts as *file*; what it replaces here has the digest *over*."""
        if isinstance(one.written, MadeFile):
            # It waits in the bucket for its place there, which it gets once the ledger names it.
            await self._context.store.clear_place(file, one.written.sha256, over=over)
        else:
            await self._context.store.commit(one.written, file, over=over)

    async def take_back(self) -> None:
        """Undo what a run that died had put in its place before the ledger was told.

        Its row may have another name by now, and another row its own.
        """
        store, ledger = self._context.store, self._context.ledger
        for output in await ledger.planned_outputs():
            if output.planned is None or not await self._is_placed(output):
                continue
            if output.raw is None and output.finished_with is None:
                await store.move_file(output.planned, store.staged_name(output))
            elif await store.find_kept(output) is not None:
                # It is made again of what is kept.
                await store.remove_file(output.planned, output.sha256)

    async def end_moves(self) -> None:
        """Record what a run that died had moved before the ledger was told, so that it is not missing."""
        for attempt in await self._context.ledger.misnamed_attempts():
            for output in await self._outputs_of(attempt):
                await self._end_move(output)

    async def rename_all(self) -> None:
        """Give files the present ids of their rows, after ids were changed in the manifest."""
        renamed = await self._context.ledger.misnamed_attempts()
        # Two steps, since rows may have swapped their ids.
        for attempt in renamed:
            for output in await self._outputs_of(attempt):
                await self._move_file(output, self._context.store.earlier_name(output))
        for attempt in renamed:
            await self._clear_way(attempt)
            outputs = await self._outputs_of(attempt)
            for output in outputs:
                suffix = PurePosixPath(output.file or "").suffix
                await self._move_file(output, self._output_name(attempt, output, suffix, len(outputs)))
            await self._context.ledger.record_renamed(attempt)

    async def _record_plans(
        self, attempt: Attempt, fetched: Sequence[Downloaded], made: int
    ) -> tuple[list[Output], bool]:
        """Clear the way, record where files go, and return that; then whether they are set aside.

        *made*: how many outputs the service named.
        """
        ledger, in_the_way = self._context.ledger, InTheWay(attempt, filenames.fold_case(attempt.id))
        planned = [self._plan_output(attempt, one, made, displaced=False) for one in fetched]
        # Nearly always nothing is in the way, and to find that out need not be a question of its own.
        if await ledger.record_planned(planned, unless=in_the_way):
            return planned, False
        # A row that was edited away must not take the place of the one that has its id now.
        displaced = not await self._clear_way(attempt)
        planned = [self._plan_output(attempt, one, made, displaced=displaced) for one in fetched]
        await ledger.record_planned(planned)
        return planned, displaced

    def _plan_raw(self, one: Downloaded) -> Output:
        place = self._context.store.raw_name(one.output, one.picture.suffix)
        return replace(one.output, planned=place, size=one.written.size, sha256=one.written.sha256)

    def _plan_output(self, attempt: Attempt, one: Downloaded, made: int, *, displaced: bool) -> Output:
        planned = self._output_name(attempt, one.output, one.picture.suffix, made)
        if displaced:
            planned = self._context.store.earlier_name(replace(one.output, file=planned))
        return replace(one.output, planned=planned, size=one.written.size, sha256=one.written.sha256)

    def _ours(self, attempt: Attempt, output: Output, named: int) -> Output:
        """Return *output*, without its planned place where that is another row's since an edit.

        That row may be about to clear it.
        """
        planned = output.planned or ""
        place = self._output_name(attempt, output, PurePosixPath(planned).suffix, named)
        aside = self._context.store.earlier_name(replace(output, file=place))
        ours = planned.startswith(f"{RAW}/") or planned in (place, aside)
        return output if ours else replace(output, planned=None)

    def _output_name(self, attempt: Attempt, output: Output, suffix: str, made: int) -> str:
        # A service may make more than was asked for: each needs a name of its own.
        asked = max(attempt.outputs_asked, made)
        return f"{OUTPUTS}/{filenames.output_name(attempt.id, output.n, asked, suffix, many=self._many)}"

    async def _clear_way(self, attempt: Attempt) -> bool:
        """Move files that stand under the attempt's id, but are not its, to `outputs/earlier/`.

        False: they stand there by right.
        """
        in_the_way = await self._context.ledger.outputs_in_the_way(attempt, filenames.fold_case(attempt.id))
        for output in in_the_way or ():
            await self._move_file(output, self._context.store.earlier_name(output))
        return in_the_way is not None

    async def _outputs_of(self, attempt: Attempt) -> list[Output]:
        assert attempt.prediction_id is not None
        return await self._context.ledger.outputs_of(attempt.prediction_id)

    async def _move_file(self, output: Output, file: str) -> None:
        with anyio.CancelScope(shield=True):
            output = await self._end_move(output)
            if output.file is not None and output.file != file:
                await self._context.ledger.record_move_planned(output, file)
                await self._context.store.move_file(output.file, file)
                await self._context.ledger.record_moved(output, file)

    async def _end_move(self, output: Output) -> Output:
        """Record a move that a run had made before it died; return *output* as it is then."""
        planned = output.planned
        if output.file is None or planned is None or self._context.store.is_here(output.file):
            return output
        if not await self._is_placed(output):
            return output
        await self._context.ledger.record_moved(output, planned)
        return replace(output, file=planned)

    async def _is_placed(self, output: Output) -> bool:
        """Whether *output* is in its planned place, which the ledger does not know yet."""
        store, planned = self._context.store, output.planned
        if planned is None or output.sha256 is None or not store.is_here(planned):
            return False
        if await store.find_file(planned, output.sha256) is None:
            return False
        # Ledgers of before have plans that were carried out long ago: another may be there now.
        return not await self._context.ledger.has_placed(planned)


def flags_alone(picture: Picture) -> tuple[str, ...]:
    """Return the flags that a *picture* has by itself."""
    return ("blank",) if picture.plain else ()
