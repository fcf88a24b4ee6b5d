"""The ledger's events about outputs: fetched, kept, placed, lost, moved."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

from batchfill.domain.predictions import match_addresses
from batchfill.domain.rows import RowState
from batchfill.ledger import ledger_rows, statements
from batchfill.ledger.base import LedgerBase

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping, Sequence
    from typing import Any

    from batchfill.domain.objects import RemoteFile
    from batchfill.domain.predictions import Output
    from batchfill.domain.rows import Attempt, RedoRule


class InTheWay(NamedTuple):
    """Whose files are asked for that stand in `outputs/` under the id of *attempt*."""

    attempt: Attempt
    folded_id: str


def find_in_the_way(db: sqlite3.Connection, asked: InTheWay) -> list[Output] | None:
    """Return files that stand under the attempt's id but belong to another; None: by right, see the queue."""
    attempt, folded_id = asked
    if statements.ask_value(db, "named_by_another", key=attempt.key, folded_id=folded_id) is not None:
        return None
    found = statements.ask_rows(db, "outputs_in_the_way", folded_id=folded_id, number=attempt.number)
    return [ledger_rows.to_output(record) for record in found]


class OutputEvents(LedgerBase):
    """One method an event, on disk before it returns."""

    async def record_put_off(self, attempt: Attempt, error: str, *, due_at: float) -> None:
        """Fetching did not work; again at *due_at*."""
        await self._record_soon("record_put_off", attempt, error=error, due_at=due_at)

    async def record_urls(self, attempt: Attempt, urls: Sequence[str]) -> None:
        """The service named the outputs again."""

        await self._writer.commit(lambda db: name_outputs(db, attempt, urls))

    async def record_planned(self, outputs: Sequence[Output], *, unless: InTheWay | None = None) -> bool:
        """Files were fetched whole and are about to be put where *planned* says, with size and digest.

        Should we die between the rename and its record, what stands there can be known for ours. Nothing is
        recorded, and False returned, where anything is to be known first of what is in the way: *unless*.
        """

        def event(db: sqlite3.Connection) -> bool:
            if unless is not None and find_in_the_way(db, unless) != []:
                return False
            for output in outputs:
                values = {"planned": output.planned, "size": output.size, "sha256": output.sha256}
                statements.run_statements(db, "events", "record_planned", **_output_key(output), **values)
            return True

        return await self._writer.commit(event, urgent=False)

    async def record_kept(self, attempt: Attempt, outputs: Sequence[Output]) -> None:
        """Outputs are, as the service sent them, where their *raw* says, for files to be made of them.

        Those that say nothing any more are to be fetched again. When none is left to be fetched, apart from
        what is lost, the row is to be finished.
        """

        def event(db: sqlite3.Connection) -> None:
            for output in outputs:
                values = {"raw": output.raw, "raw_sha256": output.raw_sha256}
                statements.run_statements(db, "events", "record_kept", **_output_key(output), **values)
            self._apply_event(db, "record_all_kept", attempt)

        await self._writer.commit(event, urgent=False)

    async def record_lost(self, attempt: Attempt, lost: Mapping[int, str]) -> None:
        """Outputs, by their numbers, will not come, and why."""

        def event(db: sqlite3.Connection) -> None:
            for n, why in lost.items():
                statements.run_statements(
                    db, "events", "record_lost", prediction_id=attempt.prediction_id, n=n, lost=why
                )

        await self._writer.commit(event)

    async def record_judged(self, outputs: Sequence[Output], *, redo: RedoRule | None = None) -> bool:
        """The flags of a row's *outputs* are known. Return whether it is made again for them by *redo*."""
        again: set[str] = set()

        def event(db: sqlite3.Connection) -> None:
            for output in outputs:
                statements.run_statements(
                    db, "events", "record_judged", **_output_key(output), flags=" ".join(output.flags or ())
                )
            if outputs:
                again.update(self._make_again(db, outputs[0].prediction_id, redo))

        await self._writer.commit(event, urgent=False)
        return bool(again)

    async def record_collected(
        self,
        attempt: Attempt,
        placed: Sequence[tuple[Output, int, int]],
        error: str | None,
        *,
        in_place: bool = True,
        more: bool = False,
        redo: RedoRule | None = None,
    ) -> bool:
        """Files are whole and in place, and the row is done; *placed* holds each output, width and height.

        *more*: as long as other outputs may come it is not. Not *in_place*: the files are set aside, since
        another row of the manifest has the row's id. Return whether it is made again by *redo*.
        """

        placed_id = attempt.id if in_place else ""
        again: set[str] = set()

        def event(db: sqlite3.Connection) -> None:
            for output, width, height in placed:
                values = ledger_rows.to_placed(output) | {"width": width, "height": height}
                statements.run_statements(db, "events", "record_placed", now=self._now(), **values)
            name = "record_saved" if more else "record_collected"
            self._apply_event(db, name, attempt, placed_id=placed_id, error=error)
            if statements.ask_value(db, "state_of", key=attempt.key) == RowState.DONE:
                self._record_files(db, attempt)
                again.update(self._make_again(db, attempt.prediction_id, redo))

        await self._writer.commit(event, urgent=False)
        return bool(again)

    async def record_expired(self, attempt: Attempt, error: str) -> None:
        """Paid and made, but the service removed it before it was fetched."""
        await self._record_event("record_uncollected", attempt, state=RowState.EXPIRED.value, error=error)

    async def record_uncollectable(self, attempt: Attempt, error: str) -> None:
        """Paid and made, but no picture to fetch: a refused address, bytes that never decode."""
        await self._record_event("record_uncollected", attempt, state=RowState.FAILED.value, error=error)

    async def record_move_planned(self, output: Output, file: str) -> None:
        """A file is about to be renamed, to *file*: should the run die, it is looked for there, too."""
        await self._writer.commit(
            lambda db: statements.run_statements(
                db, "events", "record_move_planned", **_output_key(output), file=file
            )
        )

    async def record_moved(self, output: Output, file: str) -> None:
        """A file was renamed, to *file* relative to the batch folder; its row may have to be named again."""
        await self._writer.commit(
            lambda db: statements.run_statements(
                db, "events", "record_moved", **_output_key(output), file=file
            )
        )

    # Below the address of --outputs

    async def take_remote(self) -> None:
        """Have every file that is in place be put there, too."""
        await self._writer.commit(lambda db: statements.run_statements(db, "events", "take_remote"))

    async def record_remote_begun(self, file: str) -> None:
        """A request is about to go out that changes *file* there."""
        await self._record_remote("record_remote_begun", file)

    async def record_remote_put(self, one: RemoteFile, etag: str | None) -> None:
        """The file is there as *one* wants it; *etag* is its version's, where it is known."""
        await self._record_remote("record_remote_put", one.file, put=one.wanted, etag=etag)

    async def record_remote_removed(self, file: str) -> None:
        """The file is not there any more, as it is wanted."""
        await self._record_remote("record_remote_removed", file)

    async def record_remote_unwanted(self, file: str, sha256: str | None) -> None:
        """The file, which has this content, is to be there no more: another was made for it."""
        await self._record_remote("record_remote_unwanted", file, sha256=sha256)

    async def record_remote_gone(self, file: str) -> None:
        """The file is not there, though it was put: it is to be put once more."""
        await self._record_remote("record_remote_gone", file)

    async def _record_remote(self, name: str, file: str, **values: str | None) -> None:
        await self._writer.commit(
            lambda db: statements.run_statements(db, "events", name, file=file, **values), urgent=False
        )

    def _make_again(
        self, db: sqlite3.Connection, prediction_id: str | None, redo: RedoRule | None
    ) -> list[str]:
        """Make the row of a prediction pending again where *redo* says so; return its key."""
        if redo is None:
            return []
        values = redo._asdict() | {"prediction_id": prediction_id, "flags": json.dumps(redo.flags)}
        found = statements.ask_rows(db, "to_make_again", **values)
        keys = [record["key"] for record in found if self._affords_more(db, record["price"])]
        for key in keys:
            statements.run_statements(db, "events", "make_again", key=key, now=self._now())
        return keys

    async def record_renamed(self, attempt: Attempt) -> None:
        """Every file of the row bears its present id."""

        def event(db: sqlite3.Connection) -> None:
            self._apply_event(db, "record_renamed", attempt, placed_id=attempt.id)
            self._record_files(db, attempt)

        await self._writer.commit(event)


def name_outputs(db: sqlite3.Connection, attempt: Attempt, urls: Sequence[str]) -> None:
    """Note where the outputs of an attempt are, now that the service names *urls*."""
    id_ = attempt.prediction_id
    known = [ledger_rows.to_output(r) for r in statements.ask_rows(db, "outputs_of", prediction_id=id_)]
    for n, url in match_addresses(known, urls).items():
        statements.run_statements(db, "events", "record_output", prediction_id=id_, n=n, url=url)


def _output_key(output: Output) -> dict[str, Any]:
    return {"prediction_id": output.prediction_id, "n": output.n}
