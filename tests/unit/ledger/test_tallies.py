"""Whatever happens in whatever order: the counts kept by triggers are those of a recount."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import AsyncExitStack, closing
from dataclasses import replace
from hashlib import sha256
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batchfill.domain.predictions import Prediction
from batchfill.domain.rows import Outcome, Row, RowSelection, RowState
from batchfill.errors import BudgetReached
from batchfill.ledger.ledger import Ledger, open_ledger
from tests.unit.ledger.conftest import PRICE

if TYPE_CHECKING:
    from collections.abc import Sequence

NAMES = "abcdef"

TARGETS = {
    "accept": (RowState.SUBMITTING, RowState.IN_DOUBT),
    "refuse": (RowState.SUBMITTING, RowState.IN_DOUBT),
    "reject": (RowState.SUBMITTING,),
    "lose": (RowState.SUBMITTING,),
    "doubt": (RowState.SUBMITTING, RowState.RUNNING, RowState.IN_DOUBT),
    "follow again": (RowState.IN_DOUBT,),
    "succeed": (RowState.RUNNING,),
    "fail": (RowState.RUNNING,),
    "collect": (RowState.COLLECTING,),
    "expire": (RowState.COLLECTING,),
    "give up": (RowState.COLLECTING,),
}
"""What happens to attempts, and in which states of their rows."""

OTHERS = ("import", "intend", "intend", "intend", "unusable", "retry", "cap", "reopen")

steps = st.lists(
    st.tuples(st.sampled_from((*TARGETS, *TARGETS, *OTHERS)), st.integers(0, 255)), min_size=5, max_size=60
)


class Story:
    """Carries out steps on one ledger; a step that nothing is ready for is left out."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._time = 1000.0
        self._ids = count(1)
        self._open = AsyncExitStack()
        self.ledger: Ledger

    async def open(self) -> None:
        self.ledger = await self._open.enter_async_context(open_ledger(self.path, self._now))

    async def close(self) -> None:
        await self._open.aclose()

    def _now(self) -> float:
        self._time += 1
        return self._time

    async def step(self, action: str, n: int) -> None:
        match action:
            case "import":
                await self._import(n)
            case "intend":
                await self._intend(n)
            case "unusable":
                for due in (await self.ledger.due_rows(10))[: n % 2]:
                    await self.ledger.record_unusable(due, "cannot be read")
            case "retry":
                state = list(RowState)[4 + n % 4]
                await self.ledger.select(RowSelection(states=frozenset({state})), dict, incoming=False)
                await self.ledger.retry_selected()
            case "cap":
                await self.ledger.set_metadata(max_cost=None if n < 64 else str(n % 12 * PRICE))
            case "reopen":
                await self.close()
                await self.open()
            case _:
                await self._happen(action, n)

    async def _import(self, n: int) -> None:
        rows = [self._row(name, n) for i, name in enumerate(NAMES) if (n >> i) % 4 or i == n % 6]
        async with self.ledger.open_import() as intake:
            await intake.add_rows([replace(row, position=i, line=i + 2) for i, row in enumerate(rows)])
            await intake.identify_rows()
            await intake.merge_rows(self._now())

    def _row(self, name: str, n: int) -> Row:
        price = None if (n, name) == (255, "a") else PRICE * (1 + n % 3)
        asks = name if n % 5 else name + "!"
        inputs = {"image": f"{name}.png", "mask": "m.png", "prompt": asks}
        digest = sha256(asks.encode()).hexdigest()
        return Row(0, 2, name, name, inputs, {}, {}, digest, 1, price)

    async def _intend(self, n: int) -> None:
        due = await self.ledger.due_rows(10)
        if not due:
            return
        try:
            await self.ledger.record_intent(
                due[n % len(due)],
                seed=7,
                choose_seed=None if n % 3 == 0 else lambda: next(self._ids),
                origin="https://api.example.com/v1",
                sent=lambda seed: {"seed": seed},
                service_time=None,
            )
        except BudgetReached:
            return
        cost = self.ledger.cost
        if self.ledger.cap is not None:
            assert cost.spent is not None
            assert cost.reserved is not None
            assert cost.spent + cost.reserved <= self.ledger.cap

    async def _happen(self, action: str, n: int) -> None:
        found = [a for state in TARGETS[action] for a in await self._in_state(state)]
        if action in ("accept", "refuse"):
            found = [attempt for attempt in found if attempt.prediction_id is None]
        elif action == "follow again":
            found = [attempt for attempt in found if attempt.prediction_id is not None]
        if not found:
            return
        ledger, attempt = self.ledger, found[n % len(found)]
        made = Prediction(
            attempt.prediction_id or f"p{next(self._ids)}", "succeeded", outputs=("https://x/1",)
        )
        retry_at = self._now() if n % 2 else None
        match action:
            case "accept":
                await ledger.record_accepted(attempt, made)
            case "refuse":
                await ledger.record_refused(attempt, "429", due_at=0)
            case "reject":
                await ledger.record_rejected(attempt, "422")
            case "lose":
                await ledger.record_answer_lost(attempt, "reset")
            case "doubt":
                await ledger.record_in_doubt(attempt, "lost")
            case "follow again":
                await ledger.record_followed_again(attempt)
            case "succeed":
                await ledger.record_succeeded(attempt, made)
            case "fail":
                outcome = Outcome.FAILED if n % 4 < 2 else Outcome.CANCELED
                await ledger.record_failed(attempt, "failed", "E", outcome=outcome, retry_at=retry_at)
            case "collect":
                await ledger.record_collected(attempt, [], None)
            case "expire":
                await ledger.record_expired(attempt, "removed")
            case "give up":
                await ledger.record_uncollectable(attempt, "no picture")

    async def _in_state(self, state: RowState) -> list[Any]:
        if state is RowState.COLLECTING:
            return [one.attempt for one in (await self.ledger.download_queue(10)).due]
        return await self.ledger.open_attempts(state)


def recount(path: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Return what the triggers should have counted, and what they did."""
    questions = {
        "rows": "SELECT state, position IS NULL, count(*), sum(coalesce(price, 0)), sum(price IS NULL) "
        "FROM rows GROUP BY 1, 2 ORDER BY 1, 2",
        "tally": "SELECT state, gone, rows, price, unpriced FROM tally WHERE rows > 0 ORDER BY 1, 2",
        "attempts": "SELECT outcome, count(*), sum(coalesce(price, 0)), sum(price IS NULL) "
        "FROM attempts GROUP BY 1 ORDER BY 1",
        "money": "SELECT outcome, attempts, price, unpriced FROM money WHERE attempts > 0 ORDER BY 1",
        "own seeds twice": "SELECT seed FROM attempts WHERE own_seed GROUP BY 1 HAVING count(*) > 1",
        "in flight but closed": "SELECT rows.key FROM rows JOIN attempts ON number = attempt "
        "WHERE state IN ('submitting', 'running', 'in_doubt') AND outcome <> 'open'",
        "open but not in flight": "SELECT rows.key FROM rows JOIN attempts ON number = attempt "
        "WHERE state NOT IN ('submitting', 'running', 'in_doubt', 'pending') AND outcome = 'open'",
        "fewer than no tries": "SELECT key FROM rows WHERE tries < 0",
    }
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
        return {name: db.execute(question).fetchall() for name, question in questions.items()}


def check(ledger: Ledger, found: dict[str, list[tuple[Any, ...]]]) -> None:
    assert found["tally"] == found["rows"]
    assert found["money"] == found["attempts"]
    empty = ("own seeds twice", "in flight but closed", "open but not in flight", "fewer than no tries")
    assert [name for name in empty if found[name]] == []
    present = {RowState(state): rows for state, gone, rows, _, _ in found["rows"] if not gone}
    gone = {RowState(state): rows for state, gone, rows, _, _ in found["rows"] if gone}
    assert ledger.counts == {state: present.get(state, 0) for state in RowState}
    assert ledger.gone == gone
    prices = {outcome: None if unpriced else price for outcome, _, price, unpriced in found["attempts"]}
    assert ledger.cost.spent == total(prices.get("succeeded", 0), prices.get("canceled", 0))
    assert ledger.cost.reserved == prices.get("open", 0)
    to_go = [row[3:] for row in found["rows"] if row[:2] == ("pending", 0)]
    assert ledger.cost.to_go == total(*(None if unpriced else price for price, unpriced in to_go))


def total(*prices: int | None) -> int | None:
    return None if None in prices else sum(price for price in prices if price is not None)


async def tell(story: Sequence[tuple[str, int]]) -> None:
    with TemporaryDirectory() as folder:
        told = Story(Path(folder) / "ledger.sqlite")
        await told.open()
        try:
            for action, n in [("import", 254), *story]:
                await told.step(action, n)
                check(told.ledger, recount(told.path))
        finally:
            await told.close()


@settings(max_examples=60, deadline=None)
@given(steps)
def test_counts_and_money_are_always_those_of_a_recount(story: list[tuple[str, int]]) -> None:
    asyncio.run(tell(story))


@pytest.mark.parametrize("last", ["collect", "expire", "give up"])
async def test_one_plain_story_reaches_every_end(last: str) -> None:
    await tell([("intend", 1), ("accept", 0), ("succeed", 0), (last, 0), ("retry", 0), ("reopen", 0)])
