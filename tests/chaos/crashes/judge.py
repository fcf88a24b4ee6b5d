"""The judge of a night with deaths in it: the bill, the ledger and the files, held against each other."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

from batchfill.check.check import compare_outputs
from batchfill.domain.rows import RowState
from batchfill.ledger.reader import open_reader
from batchfill.storage.placed_files import PlacedFiles
from tests.chaos.crashes.night import FAILED, ROWS
from tests.support import ledgers
from tests.support.judge import judge
from tests.support.providers import TOKEN

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from batchfill.domain.reports import Result
    from tests.chaos.crashes.night import Night

FETCHED = """
SELECT r.id FROM rows AS r JOIN attempts AS a ON a.number = r.attempt JOIN outputs AS o USING (prediction_id)
GROUP BY r.id HAVING count(coalesce(o.planned, o.file)) = count(*)
"""

CLEAN = "is in place and as it was fetched"


def done(batch: Path) -> frozenset[str]:
    """Return the ids of the rows that the ledger of a batch folder says are done."""
    if not ledgers.states(batch / "ledger.sqlite"):
        return frozenset()
    return frozenset(result.id for result in _results(batch) if result.state is RowState.DONE)


def fetched(batch: Path) -> frozenset[str]:
    """Return the ids of the rows whose every picture was fetched whole, recorded as done or not yet."""
    ledger = batch / "ledger.sqlite"
    if not ledgers.states(ledger):
        return frozenset()
    with closing(sqlite3.connect(ledger)) as db:
        return frozenset(id_ for (id_,) in db.execute(FETCHED))


def accepted(batch: Path) -> bool:
    """Whether the ledger of a batch folder knows any prediction."""
    ledger = batch / "ledger.sqlite"
    return bool(ledgers.states(ledger)) and any(asked.prediction_id for asked in ledgers.asked(ledger))


def judge_whole(night: Night) -> Iterator[str]:
    """Yield what is wrong with a night after which every row must be done, made once and in its place."""
    yield from _judge(night)
    if night.codes[-1] != 0:
        yield f"it ended {night.codes[-1]}: {night.said()[-2000:]}"
    if night.provider.billed != ROWS + FAILED:
        yield f"{night.provider.billed} predictions were made, and not {ROWS + FAILED}"
    states = {result.id: result.state.value for result in _results(night.batch)}
    if len(states) != ROWS or set(states.values()) != {"done"}:
        yield f"rows ended {states}"


def judge_doubtful(night: Night, unanswered: int) -> Iterator[str]:
    """Yield what is wrong with a night at a gateway: what was *unanswered* at its death may be in doubt."""
    yield from _judge(night)
    doubtful = [result for result in _results(night.batch) if result.state is RowState.IN_DOUBT]
    if len(doubtful) > unanswered:
        yield f"{len(doubtful)} rows are in doubt, and {unanswered} had no answer"
    if night.codes[-1] != (1 if doubtful else 0):
        yield f"it ended {night.codes[-1]} with {len(doubtful)} rows in doubt: {night.said()[-2000:]}"
    yield from (f"{row.id} is in doubt, and nothing says why" for row in doubtful if not row.error)


def judge_expired(night: Night, before: frozenset[str]) -> Iterator[str]:
    """Yield what is wrong when the service removed everything while the batch was down.

    *before*: the rows that were done when it went down.
    """
    verdict = judge(night.folder, night.batch, TOKEN)
    yield from (*verdict.paid_twice, *verdict.leaks, *_not_clean(night.batch))
    for result in _results(night.batch):
        explained = result.state in (RowState.EXPIRED, RowState.IN_DOUBT) and result.error
        if result.state is not RowState.DONE and (result.id in before or not explained):
            was = "was done, and " if result.id in before else ""
            yield f"{result.id} {was}ended {result.state.value}: {result.error}"


def _judge(night: Night) -> Iterator[str]:
    verdict = judge(night.folder, night.batch, TOKEN)
    yield from (*verdict.broken, *_not_clean(night.batch))


def _not_clean(batch: Path) -> Iterator[str]:
    """Yield what `check --outputs` finds."""
    with open_reader(batch / "ledger.sqlite") as reader:
        found = compare_outputs(PlacedFiles(batch), reader.collected_files()).lines
    if not (len(found) == 1 and CLEAN in found[0]):
        yield from found
    yield from (f"{leftover} was left behind" for leftover in (batch / "tmp").iterdir())


def _results(batch: Path) -> list[Result]:
    with open_reader(batch / "ledger.sqlite") as reader:
        return list(reader.results())
