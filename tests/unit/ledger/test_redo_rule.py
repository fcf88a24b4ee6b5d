from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from batchfill.domain.review import Decision, DecisionFile, ReviewDecision
from batchfill.domain.rows import RedoRule
from tests.unit.ledger.conftest import PRICE

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from batchfill.domain.rows import RowState
    from batchfill.ledger.ledger import Ledger

RULE = RedoRule(("blank",), 1)

Judge = Any


@pytest.fixture
async def judge(
    ledger: Ledger, accept: Any, prediction: Any
) -> Callable[[str], Awaitable[Callable[..., Awaitable[bool]]]]:
    """Bring a row to done; what is returned records the flags of its picture and tells whether it goes on."""

    async def judge(id_: str) -> Callable[..., Awaitable[bool]]:
        attempt = await accept(id_)
        assert attempt.prediction_id is not None
        await ledger.record_succeeded(attempt, prediction(attempt.prediction_id))
        (output,) = await ledger.outputs_of(attempt.prediction_id)
        placed = replace(output, file=f"outputs/{id_}.webp", size=10, sha256="ab" * 32)
        await ledger.record_collected(attempt, [(placed, 64, 48)], None, redo=RULE)

        async def flagged(*flags: str, rule: RedoRule = RULE) -> bool:
            return await ledger.record_judged([replace(placed, flags=flags)], redo=rule)

        return flagged

    return judge


def states(ledger: Ledger) -> dict[RowState, int]:
    return {state: rows for state, rows in ledger.counts.items() if rows}


async def test_a_flagged_row_is_pending_again_behind_those_that_were_never_tried(
    ledger: Ledger, take_in: Any, row: Any, judge: Judge
) -> None:
    await take_in(row("a"), row("b"))
    flagged = await judge("a")

    assert await flagged("drift", "blank")

    due = await ledger.due_rows(9)
    assert [(one.id, one.redo is not None and one.redo.seed is None) for one in due] == [
        ("b", False),
        ("a", True),
    ]


async def test_money_that_pending_rows_need_is_not_spent_on_a_second_picture(
    ledger: Ledger, take_in: Any, row: Any, judge: Judge
) -> None:
    await take_in(row("a"), row("b"))
    await ledger.set_metadata(max_cost=str(2 * PRICE))
    flagged = await judge("a")

    assert not await flagged("blank")

    await ledger.set_metadata(max_cost=str(3 * PRICE))
    assert await flagged("blank")


@pytest.mark.parametrize("decision", list(Decision))
async def test_a_row_of_which_was_decided_is_not_made_again(
    ledger: Ledger, take_in: Any, row: Any, judge: Judge, decision: Decision
) -> None:
    await take_in(row("a"))
    flagged = await judge("a")
    ruling = ReviewDecision(prediction_id="p1", decision=decision, at=1.0)
    await ledger.record_decisions([DecisionFile("one", (ruling,))], there=["one"])

    assert not await flagged("blank")


async def test_a_row_that_was_edited_away_is_not_made_again(
    ledger: Ledger, take_in: Any, row: Any, judge: Judge
) -> None:
    await take_in(row("a"))
    flagged = await judge("a")
    await take_in(row("b"))

    assert not await flagged("blank")


async def test_a_row_that_was_done_before_the_run_is_not_made_again(
    ledger: Ledger, take_in: Any, row: Any, judge: Judge, clock: Any
) -> None:
    await take_in(row("a"))
    flagged = await judge("a")

    assert not await flagged("blank", rule=RULE._replace(since=clock() + 1))
    assert await flagged("blank", rule=RULE._replace(since=clock()))


async def test_a_word_within_another_is_not_that_flag(
    ledger: Ledger, take_in: Any, row: Any, judge: Judge
) -> None:
    await take_in(row("a"))
    flagged = await judge("a")

    assert not await flagged("blanket", "unblank")
    assert not await flagged()
