"""Who watches a night: every promise is looked at after every event, and all of them at the end."""

from __future__ import annotations

import sqlite3
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any

from batchfill.run.engine import BACKLOG, LONGEST_WAIT_TO_COLLECT
from batchfill.run.submit.admission import CREATES_AT_ONCE
from tests.chaos.nights.schedule import HOUR

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import httpx

    from batchfill.batch import Batch
    from batchfill.domain.reports import Summary
    from batchfill.emulator.journal import PredictionRecord
    from tests.chaos.nights.schedule import Schedule
    from tests.chaos.nights.world import Near, World

FREE = {"failed", "aborted"}
"""How predictions end that nobody pays for."""

UNPAID = FREE | {"canceled"}
"""How predictions end after which the same may be asked for again."""

SLACK = 10.0
"""Seconds by which two clocks may be misread."""

ENOUGH = 900.0
"""Seconds within the hour in which whoever is there has fetched what was made."""


class Judge:
    """Watches one night from outside: what is billed, what passes the network, what the ledger says."""

    def __init__(self, world: World, provider: Near, schedule: Schedule, broken: list[str]) -> None:
        self._world, self._provider, self._schedule = world, provider, schedule
        self._broken = broken
        self._quiet_until = 0.0
        self._made: defaultdict[str, list[str]] = defaultdict(list)
        self._open: dict[str, int] = {}
        self._ordered = 0
        self._consents: Counter[str] = Counter()
        """How often what a row asks for may be made although it may have been paid for."""
        self._db: sqlite3.Connection | None = None
        self.refused = 0
        self._ledger = world.folder / "night.batch" / "ledger.sqlite"
        world.network.asked, world.network.answered = self._asked, self._answered
        provider.on_create = self._created

    def begun(self) -> None:
        """A run begins: of a pause that the run before was told, it knows its refused rows only."""
        self._quiet_until = 0.0

    def _break(self, text: str) -> None:
        self._broken.append(f"{self._world.now():.2f}: {text}")

    def _asked(self, request: httpx.Request) -> None:
        if not _is_create(request):
            return
        if self._world.now() < self._quiet_until:
            self._break(f"a create left {self._quiet_until - self._world.now():.1f} s before its time")
        waiting, oldest = self._collecting()
        if waiting > BACKLOG * self._schedule.concurrency + CREATES_AT_ONCE:
            self._break(f"a create left while {waiting} rows waited to be fetched")
        if oldest is not None and self._world.now() - oldest > LONGEST_WAIT_TO_COLLECT + 60:
            self._break(f"a create left while a row has waited {self._world.now() - oldest:.0f} s")

    def _answered(self, request: httpx.Request, response: httpx.Response) -> None:
        if _is_create(request) and response.status_code == 429:
            self.refused += 1
            wait = float(response.headers.get("Retry-After", "0") or 0)
            self._quiet_until = max(self._quiet_until, self._world.now() + wait)

    def _created(self, record: PredictionRecord) -> None:
        """The provider is about to make a prediction."""
        paid = [one for id_ in self._made[record.digest] if (one := self._paid(id_)) is not None]
        if len(paid) > self._consents[_asked(record.input)]:
            (*_, last) = paid
            self._break(f"paid twice: {record.input.get('prompt')!r} while {last.id} is {last.status}")
        self._made[record.digest].append(record.id)
        self._settle()
        self._open[record.id] = pictures = int(record.input.get("num_outputs") or 1)
        self._ordered += pictures
        bound, most = self._schedule.concurrency, self._schedule.max_cost
        if len(self._open) > bound + self._count("in_doubt") + self._consents.total():
            self._break(f"{len(self._open)} predictions in flight, {bound} allowed")
        if most is not None and self._ordered > most:
            self._break(f"{self._ordered} pictures ordered, {most} allowed")

    def consented(self) -> None:
        """From here on each row that is lost, in doubt or failed may be paid for once more."""
        # It is the row that is consented to: what was made of it so far need not be all that will be.
        doubtful = (
            "SELECT image, prompt FROM rows WHERE state IN ('failed', 'canceled', 'expired', 'in_doubt')"
        )
        for image, prompt in self._query(doubtful):
            self._consents[_asked({"image": image, "prompt": prompt})] += 1

    def _paid(self, id_: str) -> PredictionRecord | None:
        """Return a prediction that was paid for, or may have to be."""
        record = self._provider.prediction(id_)
        return None if record is None or record.status in UNPAID else record

    def _settle(self) -> None:
        """Forget what runs no more; what failed is not paid for."""
        for id_ in list(self._open):
            record = self._provider.prediction(id_)
            if record is not None and record.ended:
                pictures = self._open.pop(id_)
                self._ordered -= pictures if record.status in FREE else 0

    def close(self, summary: Summary | None, batch: Batch, token: str) -> None:
        """Judge what is left in the morning."""
        if summary is None:
            self._break("it never came to an end")
        else:
            self._judge_states(summary, batch)
        self._judge_files()
        self._judge_owners()
        self._judge_expired()
        self._judge_doubts()
        if self._db is not None:
            self._db.close()
        for path in self._ledger.parent.rglob("*"):
            if path.is_file() and token.encode() in path.read_bytes():
                self._break(f"the token is in {path.name}")

    def _judge_states(self, summary: Summary, batch: Batch) -> None:
        states: Counter[str] = Counter()
        for result in batch.results():
            states[result.state.value] += 1
            if result.state.value in ("failed", "expired", "in_doubt") and not result.error:
                self._break(f"{result.id} is {result.state.value}, and nothing says why")
        if states != Counter({state.value: n for state, n in summary.counts.items() if n}):
            self._break(f"the results say {dict(states)}, the summary {summary.counts}")
        left = sum(states[state] for state in ("submitting", "running", "collecting"))
        if summary.exit_code in (0, 1) and left + states["pending"]:
            self._break(f"it ended with {summary.exit_code} and {dict(states)}")
        if summary.exit_code == 0 and set(states) != {"done"}:
            self._break(f"it ended with 0 and {dict(states)}")
        if summary.exit_code == 3 and not summary.stopped_because and not left:
            self._break(f"it stopped with {dict(states)}, and nothing says why")

    def _judge_files(self) -> None:
        """Everything that was made and paid for is in place, or nobody was there to fetch it."""
        kept = dict(self._query("SELECT prediction_id, file FROM outputs"))
        known = dict(self._query("SELECT prediction_id, key FROM attempts WHERE prediction_id IS NOT NULL"))
        doubtful = {row[0] for row in self._query("SELECT key FROM rows WHERE state = 'in_doubt'")}
        if self._schedule.damage:
            # An id that arrived damaged is asked for, and found to be none.
            open_ = "SELECT key FROM rows WHERE state IN ('submitting', 'running', 'collecting')"
            doubtful |= {row[0] for row in self._query(open_)}
        states = dict(self._query("SELECT key, state FROM rows"))
        for record in self._provider.predictions():
            if record.status != "succeeded":
                continue
            place = kept.get(record.id)
            if place and (self._ledger.parent / place).is_file():
                continue
            state = states.get(known.get(record.id, ""))
            if record.id not in known:
                if not doubtful and not self._consents[_asked(record.input)]:
                    self._break(f"{record.id} was paid for, and nobody knows of it")
            elif state in ("running", "collecting") or (self._schedule.damage and state == "in_doubt"):
                continue  # the night ended before it, or no look at it could be read
            elif self._was_up_after(record):
                self._break(f"{record.id} was made and is lost: its row is {state}, {place}")

    def _was_up_after(self, record: PredictionRecord) -> bool:
        """Whether the program ran long enough, in the hour in which the service keeps it, to fetch it."""
        ended = (record.completed_at or 0.0) - self._schedule.skew
        return self._world.up_between(ended, ended + HOUR) > ENOUGH

    def _judge_owners(self) -> None:
        """Every row has its own prediction, not one that looks like it."""
        for id_, image in self._query("SELECT prediction_id, image FROM attempts JOIN rows USING (key)"):
            record = self._provider.prediction(id_) if id_ else None
            if record is not None and record.input and record.input["image"] != image:
                self._break(f"{id_} was made of {record.input['image']}, and stands for {image}")

    def _judge_expired(self) -> None:
        """Nothing is given up as expired that the provider still has."""
        for record, since in self._rows_in("expired"):
            made = record.created_at - self._schedule.skew
            if since < made + HOUR - SLACK:
                self._break(f"{record.id} was given up {since - made:.0f} s after it was made")

    def _judge_doubts(self) -> None:
        """Nothing is in doubt whose id is known to both sides, unless the provider denies that it is."""
        if any(
            trouble.call == "get" and ("status", 404) in trouble.options
            for trouble in self._schedule.troubles
        ):
            return
        if self._schedule.damage:
            return  # its looks could not be read
        for record, _ in self._rows_in("in_doubt"):
            self._break(f"{record.id} is in doubt, and the provider knows it")

    def _rows_in(self, state: str) -> Iterator[tuple[PredictionRecord, float]]:
        """Yield the predictions of rows in *state*, and since when they are."""
        question = "SELECT prediction_id, since FROM rows JOIN attempts ON number = attempt WHERE state = ?"
        for id_, since in self._query(question, state):
            record = self._provider.prediction(id_) if id_ else None
            if record is not None:
                yield record, since

    def _collecting(self) -> tuple[int, float | None]:
        found = self._query("SELECT count(*), min(since) FROM rows WHERE state = 'collecting'")
        return found[0] if found else (0, None)

    def _count(self, state: str) -> int:
        found = self._query("SELECT count(*) FROM rows WHERE state = ?", state)
        return int(found[0][0]) if found else 0

    def _query(self, question: str, *values: Any) -> list[Any]:
        if self._db is None:
            if not self._ledger.exists():
                return []
            self._db = sqlite3.connect(f"file:{self._ledger}?mode=ro", uri=True)
        return self._db.execute(question, values).fetchall()


def _is_create(request: httpx.Request) -> bool:
    return request.method == "POST" and request.url.path.endswith("/predictions")


def _asked(given: Mapping[str, Any]) -> str:
    """Return what tells a row by its input, before and after anything was made of it."""
    return f"{given.get('image')} {given.get('prompt')}"
