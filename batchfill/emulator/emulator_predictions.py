"""The predictions of a provider: made, run, ended, removed, listed."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from batchfill.emulator.backend import RunFailed
from batchfill.emulator.journal import Journal, read_records
from batchfill.errors import in_words

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from batchfill.emulator.backend import Made
    from batchfill.emulator.input_sources import Contents
    from batchfill.emulator.journal import PredictionRecord

KEY_LIFETIME = 24 * 3600.0
"""Seconds for which a key is known, as payment services have it."""

_STARTING = 0.1
"""Share of the pretended run time that a prediction is `starting`."""


class Predictions:
    """All predictions of one folder. Whatever ends one of them wakes those who wait for it."""

    def __init__(
        self,
        folder: Path,
        contents: Contents,
        *,
        run: Callable[[PredictionRecord, Callable[[], None]], Awaitable[Made]],
        forget: Callable[[PredictionRecord], None],
        tell: Callable[[], None],
        now: Callable[[], float],
        latency: float,
        retention: float,
    ) -> None:
        """*run* makes the outputs, as Backend.run does; *forget* deletes them; *tell* hears of changes."""
        self._latency = latency
        self._retention = retention
        self._contents = contents
        self._run, self._forget, self._tell, self._now = run, forget, tell, now
        self._records = {record.id: record for record in read_records(folder)}
        self._by_key = {record.key: record.id for record in self.all() if record.key}
        ended = sorted((record for record in self.all() if record.ended), key=_ended_at)
        self._aging = deque(record.id for record in ended if not record.removed)
        self._journal = Journal(folder)
        self._lives: dict[str, asyncio.Task[None]] = {}
        self._ends: dict[str, asyncio.Event] = {}

    def resume(self) -> None:
        """Go on with what an earlier provider on this folder left unfinished."""
        for record in self.all():
            if not record.ended:
                self._begin_run(record)

    async def stop(self) -> None:
        """Stop running; what is unfinished stays so for the next provider on this folder."""
        lives = list(self._lives.values())
        for life in lives:
            life.cancel()
        await asyncio.gather(*lives, return_exceptions=True)
        self._journal.close()

    def wake(self) -> None:
        """Let go of all that wait for an end."""
        for end in self._ends.values():
            end.set()

    def __len__(self) -> int:
        return len(self._records)

    def all(self) -> list[PredictionRecord]:
        """Return every prediction, oldest first."""
        # Replacing a value keeps a dict's order.
        return list(self._records.values())

    def create(self, record: PredictionRecord) -> PredictionRecord:
        """Make a prediction: from here on it is known, even to a provider started after a kill."""
        self._journal.add(record)
        self._records[record.id] = record
        if record.key:
            self._by_key[record.key] = record.id
        self._begin_run(record)
        self._tell()
        return record

    def get(self, id_: str) -> PredictionRecord | None:
        """Return a prediction as it is; None for an unknown id."""
        return self._records.get(id_)

    def find_key(self, key: str | None) -> PredictionRecord | None:
        """Return the prediction that a create with *key* made in the last 24 hours; None: there is none."""
        record = self._records.get(self._by_key.get(key or "", ""))
        return record if record and record.created_at > self._now() - KEY_LIFETIME else None

    def cancel(self, id_: str) -> PredictionRecord:
        """Cancel a prediction, if it still runs, and return it."""
        record = self._records[id_]
        if not record.ended:
            self._end_prediction(id_, "canceled")
        return self._records[id_]

    def remove(self, id_: str) -> PredictionRecord:
        """Remove the data of an ended prediction and return what is left."""
        record = self._records[id_]
        if record.removed:
            return record
        gone: dict[str, Any] = {"removed": True, "input": {}, "contents": {}, "outputs": [], "logs": ""}
        self._forget(record)
        return self._change_record(id_, **gone)

    def sweep(self) -> None:
        """Remove the data of predictions that ended before the retention."""
        limit = self._now() - self._retention
        while self._aging and _ended_at(self._records[self._aging[0]]) <= limit:
            self.remove(self._aging.popleft())

    async def wait(self, id_: str, seconds: float) -> PredictionRecord:
        """Return a prediction when it has ended, or as it is after so many seconds."""
        if id_ in self._ends:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._ends[id_].wait(), seconds)
        return self._records[id_]

    def _begin_run(self, record: PredictionRecord) -> None:
        self._contents.use(record.contents.values())
        self._ends[record.id] = asyncio.Event()
        life = asyncio.create_task(self._run_through(record))
        self._lives[record.id] = life
        life.add_done_callback(lambda _: self._lives.pop(record.id, None))
        if record.cancel_at is not None:
            delay = max(record.cancel_at - self._now(), 0)
            timer = asyncio.get_running_loop().call_later(delay, self._cancel_overdue, record.id)
            life.add_done_callback(lambda _: timer.cancel())

    def _cancel_overdue(self, id_: str) -> None:
        record = self._records[id_]
        if not record.ended:
            self._end_prediction(id_, "aborted" if record.started_at is None else "canceled")

    async def _run_through(self, record: PredictionRecord) -> None:
        try:
            await self._run_stages(record)
        except Exception as error:  # a run's boundary: a prediction that never ends keeps its client waiting
            if not self._records[record.id].ended:
                reason = f"the provider cannot run it: {in_words(error)}"
                self._end_prediction(record.id, "failed", error=reason)

    async def _run_stages(self, record: PredictionRecord) -> None:
        id_ = record.id
        await self._sleep_until(record.created_at + _STARTING * self._latency)
        if record.fate == "aborted":
            self._end_prediction(id_, "aborted")
            return
        if record.fate == "never_starts":
            await asyncio.Event().wait()
        status, changes = await self._decide_outcome(record, partial(self._mark_started, id_))
        await self._sleep_until(record.created_at + self._latency)
        self._end_prediction(id_, status, **changes)

    def _mark_started(self, id_: str) -> None:
        self._change_record(id_, status="processing", started_at=self._now())

    async def _decide_outcome(
        self, record: PredictionRecord, begin: Callable[[], None]
    ) -> tuple[str, dict[str, Any]]:
        if record.fate in ("stuck", "fail", "nsfw"):
            begin()
        if record.fate == "stuck":
            await asyncio.Event().wait()
        if record.fate in ("fail", "nsfw"):
            return "failed", {"error": record.fate_option}
        try:
            made = await self._run(record, begin)
        except RunFailed as error:
            return "failed", {"error": str(error)}
        except OSError as error:
            return "failed", {"error": f"the provider cannot read or write its files: {error}"}
        return "succeeded", {"outputs": made.outputs, "made": len(made.outputs), "logs": made.logs}

    async def _sleep_until(self, moment: float) -> None:
        # After a restart the pretended run time has gone on meanwhile.
        await asyncio.sleep(max(moment - self._now(), 0))

    def _end_prediction(self, id_: str, status: str, **changes: Any) -> None:
        ended = self._change_record(id_, status=status, completed_at=self._now(), **changes)
        self._contents.release(ended.contents.values())
        self._ends.pop(id_).set()
        life = self._lives.get(id_)
        if life is not None and life is not asyncio.current_task():
            life.cancel()
        self._aging.append(id_)

    def _change_record(self, id_: str, **changes: Any) -> PredictionRecord:
        try:
            changed = self._journal.change(self._records[id_], **changes)
        except OSError:
            # A full disk costs the next provider on this folder a run; those who wait now are told.
            changed = replace(self._records[id_], **changes)
        self._records[id_] = changed
        self._tell()
        return changed


def _ended_at(record: PredictionRecord) -> float:
    """Return the time from which on its data is kept: one that waited long for its turn is kept as long."""
    return record.completed_at or record.created_at
