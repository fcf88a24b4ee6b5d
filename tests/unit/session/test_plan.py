from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from batchfill.domain.reports import Cost, Plan
from batchfill.domain.rows import RowState
from batchfill.ledger.import_rows import Comparison, Group
from batchfill.ledger.selection import SelectedRows
from batchfill.session import plan as plan_module
from batchfill.settings.addresses import LOCAL

if TYPE_CHECKING:
    from collections.abc import Callable

    from batchfill.settings.settings import Settings

PRICE = 40_000
NOW = 1_800_000_000.0
COST = Cost(5 * PRICE, PRICE, 0, None)


def compared(*, price: int | None = PRICE, changed: int = 0, **rows: int) -> Comparison:
    def group(count: int) -> Group:
        known = price if price is not None or count else 0
        return Group(count, 2 * count, None if known is None else known * count)

    groups = {state: group(rows.get(state.value, 0)) for state in RowState}
    return Comparison(groups, changed, None if price is None else changed * price)


@pytest.fixture
def plan_for(settings: Callable[..., Settings]) -> Callable[..., Plan]:
    def plan_for(comparison: Comparison, *, chosen: SelectedRows | None = None) -> Plan:
        return plan_module.make_plan(
            comparison,
            settings(),
            COST,
            skipped=1,
            run_time=10.0,
            warnings=["careful"],
            now=NOW,
            chosen=chosen,
        )

    return plan_for


def test_every_row_of_the_manifest_is_in_one_place_of_the_plan(plan_for: Callable[..., Plan]) -> None:
    rows = {
        "pending": 7,
        "submitting": 1,
        "running": 2,
        "collecting": 3,
        "done": 4,
        "failed": 5,
        "in_doubt": 6,
    }
    made = plan_for(compared(**rows, changed=2))
    assert (made.rows, made.to_go, made.outputs_to_go) == (28, 7, 14)
    assert (made.finished, made.open, made.in_doubt) == (4, 6, 6)
    assert (made.changed, made.price_to_go, made.price_changed) == (2, 7 * PRICE, 2 * PRICE)
    assert (made.skipped, made.cost, made.warnings) == (1, COST, ("careful",))


def test_rows_that_retry_means_are_to_go_too(plan_for: Callable[..., Plan]) -> None:
    comparison = compared(pending=7, failed=5, expired=3, done=4)
    made = plan_for(comparison, chosen=SelectedRows(Group(8, 16, 8 * PRICE), done=3, edited=1))
    assert (made.to_go, made.outputs_to_go, made.price_to_go) == (15, 30, 15 * PRICE)
    assert (made.finished, made.again, made.edited) == (1, 3, 1)


def test_beside_rows_that_are_named_nothing_is_to_go(plan_for: Callable[..., Plan]) -> None:
    made = plan_for(
        compared(pending=7, done=4), chosen=SelectedRows(Group(1, 2, PRICE), done=1, only=frozenset("k"))
    )
    assert (made.to_go, made.price_to_go, made.finished) == (1, PRICE, 3)


def test_an_unknown_price_is_not_a_price_of_nothing(plan_for: Callable[..., Plan]) -> None:
    assert plan_for(compared(pending=2, price=None)).price_to_go is None
    assert plan_for(compared(done=2)).price_to_go == 0


def test_the_slower_of_pace_and_bound_decides_the_time(settings: Callable[..., Settings]) -> None:
    paced = settings(rate=60.0, concurrency=1000)
    bounded = settings(rate=100_000.0, concurrency=10)
    assert plan_module.seconds_for(600, paced, 10.0) == pytest.approx(610.0)
    assert plan_module.seconds_for(600, bounded, 10.0) == pytest.approx(610.0)


def test_nothing_to_do_takes_no_time(settings: Callable[..., Settings]) -> None:
    assert plan_module.seconds_for(0, settings(), None) == 0.0


def test_a_rehearsal_takes_as_long_as_it_pretends(settings: Callable[..., Settings]) -> None:
    rehearsal = settings(base=LOCAL, concurrency=1, rate=100_000.0)
    assert plan_module.seconds_for(10, rehearsal, None) < plan_module.seconds_for(
        10, settings(concurrency=1), None
    )
    slow = settings(base=LOCAL, concurrency=1, rate=100_000.0, latency=20.0)
    assert plan_module.seconds_for(10, slow, None) == pytest.approx(220.0)
