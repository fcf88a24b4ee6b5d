from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from batchfill.console.render_plan import confirm_question, plan_lines
from batchfill.domain.reports import Cost, Plan

if TYPE_CHECKING:
    from collections.abc import Callable


def test_a_plan_tells_rows_cost_and_time_before_the_first_payment(plan: Callable[..., Plan]) -> None:
    assert plan_lines(plan()) == [
        "15 rows for black-forest-labs/flux-fill-dev at https://api.replicate.com/v1",
        "12 to run (18 pictures), 3 done already",
        "about $0.72; about 40 s",
    ]


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"base": "local"}, "15 rows for black-forest-labs/flux-fill-dev at the local emulator"),
        ({"open": 2}, "12 to run (18 pictures), 2 sent by an earlier run and still open, 3 done already"),
        (
            {"in_doubt": 1, "finished": 0},
            "12 to run (18 pictures), 1 in doubt, not sent again unasked",
        ),
        ({"skipped": 1}, "1 row with mistakes left out (--skip-bad)"),
        (
            {"changed": 2, "price_changed": 160_000},
            "run again because of a changed line: 2 finished rows, $0.16 of the cost",
        ),
        (
            {"again": 1},
            "made again: 1 finished row, with new seeds even where the manifest fixes one; what is",
        ),
        ({"edited": 2}, "with an edited prompt: 2 rows; the manifest stays as it is"),
        ({"price_to_go": None, "seconds": None}, "price unknown: what a picture costs here is not known"),
        ({"warnings": ("7 masks are\nmore white than black",)}, "warning: 7 masks are more white than black"),
        (
            {"cost": Cost(spent=360_000, reserved=40_000, to_go=720_000, cap=2_000_000, currency="EUR")},
            "about 0.72 EUR, after 0.40 EUR so far, at most 2.00 EUR in all; about 40 s",
        ),
    ],
)
def test_a_plan_mentions_what_is_out_of_the_ordinary(
    plan: Callable[..., Plan], changes: dict[str, Any], line: str
) -> None:
    assert any(shown.startswith(line) for shown in plan_lines(plan(**changes)))


def test_a_plan_with_nothing_to_run_speaks_of_no_cost(plan: Callable[..., Plan]) -> None:
    assert plan_lines(plan(to_go=0, outputs_to_go=0, finished=15, price_to_go=0))[1:] == ["15 done already"]


def test_of_many_warnings_the_first_twenty_are_shown(plan: Callable[..., Plan]) -> None:
    lines = plan_lines(plan(warnings=tuple(f"mask {n}" for n in range(30))))
    assert lines[-2:] == ["warning: mask 19", "… and 10 more warnings"]


def test_a_plan_says_how_far_off_until_is(plan: Callable[..., Plan]) -> None:
    assert "--until is in 23 h 59 min" in plan_lines(plan(until=86_340.0))
    assert "--until is in 30 s: some rows will be left for the next run" in plan_lines(plan(until=30.0))
    assert not any("until" in line for line in plan_lines(plan(until=300.0, to_go=0)))


def test_the_question_names_rows_and_money(plan: Callable[..., Plan]) -> None:
    assert confirm_question(plan()) == "Submit 12 rows for about $0.72?"
    assert confirm_question(plan(to_go=1, price_to_go=None)) == "Submit 1 row at an unknown price?"
