"""What is due: the ledger is the queue of every stage."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from batchfill.domain.objects import RemoteCopy, RemoteFile, RemoteMove
from batchfill.domain.rows import Accepted, DownloadJob, DownloadQueue
from batchfill.ledger import ledger_rows, statements
from batchfill.ledger.base import LedgerBase
from batchfill.ledger.output_events import InTheWay, find_in_the_way

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Sequence
    from typing import Any

    from batchfill.domain.predictions import Output
    from batchfill.domain.rows import Attempt, PendingRow, RowState


class LedgerQueue(LedgerBase):
    """What is due: the ledger is the queue of every stage."""

    async def due_rows(self, limit: int) -> list[PendingRow]:
        """Return rows whose turn it is to be submitted, at most *limit*."""
        values = {"now": self._now(), "limit": limit}
        if self._only is None:
            found = await self._ask_rows("due", **values)
        else:
            found = await self._ask_rows("due_among", keys=self._only, **values)
        return [ledger_rows.to_due(record) for record in found]

    async def next_due_at(self, after: float) -> float | None:
        """Return when the first retry comes due after that time, that of a look; None when none does."""
        at: float | None
        if self._only is None:
            at = await self._ask_value("next_due_at", after=after)
        else:
            at = await self._ask_value("next_due_among", keys=self._only, after=after)
        return at

    async def row_to_resend(self, attempt: Attempt) -> PendingRow | None:
        """Return what *attempt*, whose answer was lost, was made of.

        None where its row is gone from the manifest, or is none of those that this run may submit.
        """
        found = await self._ask_rows("to_resend", key=attempt.key, keys=self._only)
        return ledger_rows.to_due(found[0]) if found else None

    async def open_attempts(self, state: RowState) -> list[Attempt]:
        """Return the attempts whose rows are submitting, running or in doubt, longest first."""
        return [ledger_rows.to_attempt(r) for r in await self._ask_rows("open_attempts", state=state.value)]

    async def download_queue(
        self, limit: int, *, without: Iterable[int] = (), busy: Iterable[int] = ()
    ) -> DownloadQueue:
        """Return at most *limit* attempts whose outputs are due to be fetched, and what waits behind them.

        *without* these attempts, which are not waited for; those that are *busy* wait, and are not returned.
        """
        now, left, taken = self._now(), json.dumps([*without]), json.dumps([*without, *busy])

        def question(db: sqlite3.Connection) -> DownloadQueue:
            due = statements.ask_rows(db, "collecting", now=now, limit=limit, without=taken)
            oldest = statements.ask_value(db, "oldest_collecting", without=left)
            # What comes due while this is asked is after *now* for both.
            return DownloadQueue(
                tuple(_to_download_job(db, ledger_rows.to_attempt(record)) for record in due),
                oldest=oldest,
                next_at=statements.ask_value(db, "next_collect_at", after=now),
            )

        return await self._writer.read(question)

    async def outputs_of(self, prediction_id: str) -> list[Output]:
        """Return a prediction's outputs in order."""
        return [
            ledger_rows.to_output(r) for r in await self._ask_rows("outputs_of", prediction_id=prediction_id)
        ]

    async def claimed_ids(self, prediction_ids: Sequence[str]) -> set[str]:
        """Return those of *prediction_ids* that are ours already."""
        return set(await self.claimed_seeds(prediction_ids))

    async def claimed_seeds(self, prediction_ids: Sequence[str]) -> dict[str, int | None]:
        """Return those of *prediction_ids* that are ours already, each with the seed of its attempt."""
        found = await self._ask_rows("claimed", ids=json.dumps(list(prediction_ids)))
        return {record[0]: record[1] for record in found}

    async def accepted_before(self, attempt: Attempt, *, seconds: float, limit: int) -> list[Accepted]:
        """Return at most *limit* predictions of ours up to the attempt's anchor, newest first.

        They were asked for within *seconds* before it; none where the attempt has no anchor.
        """
        values = {"anchor": attempt.anchor, "seconds": seconds, "limit": limit}
        return [Accepted(**dict(record)) for record in await self._ask_rows("accepted_before", **values)]

    async def unlisted(self, shown: Iterable[str], *, first: int, accepted_by: float) -> str | None:
        """Return a prediction of ours that is not among *shown*; None when there is none.

        Asked is about attempts from the number *first* on whose answers had come by *accepted_by*.
        """
        values = {"shown": json.dumps([*shown]), "first": first, "accepted_by": accepted_by}
        prediction_id: str | None = await self._ask_value("unlisted", **values)
        return prediction_id

    async def last_intent_of(self, shown: Iterable[str]) -> float | None:
        """Return when the newest of ours among *shown* was asked for, in seconds since the epoch."""
        intended_at: float | None = await self._ask_value("last_intent_of", shown=json.dumps([*shown]))
        return intended_at

    async def run_times(self, limit: int) -> list[float]:
        """Return how long the last *limit* predictions took, oldest first, in the service's seconds."""
        return [record[0] for record in reversed(await self._ask_rows("run_times", limit=limit))]

    async def to_finish(self, limit: int, *, without: Iterable[int] = ()) -> list[DownloadJob]:
        """Return at most *limit* rows whose outputs are kept, and of which files are to be made."""
        left = json.dumps(list(without))
        return await self._download_jobs("to_finish", limit=limit, without=left)

    async def remote_due(self, limit: int) -> list[RemoteFile]:
        """Return at most *limit* files that are not below the address of --outputs as they are to be."""
        found = await self._writer.read(lambda db: statements.ask_rows(db, "remote_due", limit=limit))
        return [RemoteFile(*record) for record in found]

    async def remote_due_among(self, files: Iterable[str]) -> set[RemoteFile]:
        """Return those of *files* that are not as they are to be."""
        names = json.dumps(list(files))
        found = await self._writer.read(lambda db: statements.ask_rows(db, "remote_due_among", files=names))
        return {RemoteFile(*record) for record in found}

    async def remote_wanted_among(self, contents: Iterable[str]) -> set[str]:
        """Return those of *contents*, SHA-256, that are to be in some place there, and are not yet."""
        asked = json.dumps(list(contents))
        found = await self._writer.read(
            lambda db: statements.ask_rows(db, "remote_wanted_among", contents=asked)
        )
        return {content for (content,) in found}

    async def count_remote_left(self) -> int:
        """Return how many there are."""
        return int(await self._writer.read(lambda db: statements.ask_value(db, "remote_left")))

    async def remote_moves(self, file: str) -> list[RemoteMove]:
        """Return what is to be read there before *file* is changed there."""
        found = await self._writer.read(lambda db: statements.ask_rows(db, "remote_moves", file=file))
        return [RemoteMove(*record) for record in found]

    async def remote_put_among(self, files: Iterable[str]) -> dict[str, RemoteCopy]:
        """Return what was put of those of *files* that were put as they are to be."""
        names = json.dumps(list(files))
        found = await self._writer.read(lambda db: statements.ask_rows(db, "remote_put_among", files=names))
        return {file: RemoteCopy(*copy) for file, *copy in found}

    async def unjudged_jobs(self, limit: int, *, without: Iterable[int] = ()) -> list[DownloadJob]:
        """Return at most *limit* finished rows, with local pictures, whose outputs were not judged."""
        left = json.dumps(list(without))
        return await self._download_jobs("unjudged", limit=limit, without=left)

    async def finished_jobs(self, limit: int, *, after: int = 0) -> list[DownloadJob]:
        """Return at most *limit* finished rows with local pictures, behind attempt number *after*."""
        return await self._download_jobs("finished", limit=limit, after=after)

    async def _download_jobs(self, name: str, **values: Any) -> list[DownloadJob]:
        def question(db: sqlite3.Connection) -> list[DownloadJob]:
            return [
                _to_download_job(db, ledger_rows.to_attempt(record))
                for record in statements.ask_rows(db, name, **values)
            ]

        return await self._writer.read(question)

    async def outputs_in_the_way(self, attempt: Attempt, folded_id: str) -> list[Output] | None:
        """Return files in `outputs/` that stand under the attempt's id but belong to another attempt.

        None: they stand there by right, since the attempt's row is gone from the manifest, and one that is
        in it has its id.
        """

        asked = InTheWay(attempt, folded_id)
        return await self._writer.read(lambda db: find_in_the_way(db, asked))

    async def planned_outputs(self) -> list[Output]:
        """Return the outputs that may be in their planned places though that is not recorded."""
        return [ledger_rows.to_output(record) for record in await self._ask_rows("planned_outputs")]

    async def has_placed(self, file: str) -> bool:
        """Whether *file* is recorded as the place of an output."""
        return await self._ask_value("has_placed", file=file) is not None

    async def misnamed_attempts(self) -> list[Attempt]:
        """Return the attempts of rows whose files do not bear their row's id."""
        return [ledger_rows.to_attempt(record) for record in await self._ask_rows("misnamed")]

    async def upload_of(self, sha256: str, origin: str, *, good_until: float) -> str | None:
        """Return the address of an upload of this content that is good at least until then."""
        values = {"sha256": sha256, "origin": origin, "good_until": good_until}
        url: str | None = await self._ask_value("upload_of", **values)
        return url


def _to_download_job(db: sqlite3.Connection, attempt: Attempt) -> DownloadJob:
    outputs = statements.ask_rows(db, "outputs_of", prediction_id=attempt.prediction_id)
    (row,) = statements.ask_rows(db, "asked", number=attempt.number)
    return DownloadJob(attempt, tuple(map(ledger_rows.to_output, outputs)), ledger_rows.to_asked(row))
