from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from batchfill.console.summary import summary_lines
from batchfill.domain.reports import Cost, Doubt, Summary
from batchfill.domain.rows import RowState

if TYPE_CHECKING:
    from collections.abc import Callable

RUN = "batchfill run night.csv"


def test_a_run_that_did_everything_says_so_and_where_the_pictures_are(
    summary: Callable[..., Summary],
) -> None:
    assert summary_lines(summary(), command=RUN) == [
        "done: all 15 rows",
        "this run: 15 submitted, 15 finished in 40 s",
        "it took: never throttled, no time lost to waiting for downloads",
        "$0.72 paid",
        "pictures: night.batch/outputs",
    ]


def test_a_run_whose_pictures_are_in_a_bucket_says_where(summary: Callable[..., Summary]) -> None:
    lines = summary_lines(summary(root="s3://photos/night/"), command="batchfill run night.csv")
    assert lines[-1] == "pictures: s3://photos/night/outputs"


def test_a_run_says_what_it_cost_besides_money(summary: Callable[..., Summary]) -> None:
    ran = summary(submitted_now=1500, requests=7200, throttled=75.0, held=5.0, peak_memory=64 << 20)
    lines = summary_lines(ran, command=RUN)
    assert lines[1] == "this run: 1,500 submitted, 15 finished in 40 s, 7,200 requests"
    assert lines[2] == (
        "it took: 4.8 requests a row, throttled for 1 min 15 s, 5 s lost to waiting for downloads, "
        "64 MB of memory at most"
    )


@pytest.mark.parametrize(("submitted", "told"), [(1, False), (99, False), (100, True), (10_000, True)])
def test_requests_are_told_only_of_runs_large_enough_to_be_compared(
    summary: Callable[..., Summary], submitted: int, told: bool
) -> None:
    lines = summary_lines(summary(submitted_now=submitted, requests=12 * submitted), command=RUN)
    assert [("request" in line) for line in lines[1:3]] == [told, told]


def test_a_second_run_says_that_nothing_was_submitted(summary: Callable[..., Summary]) -> None:
    lines = summary_lines(summary(submitted_now=0, finished_now=0), command=RUN)
    assert lines[:2] == ["done: all 15 rows", "nothing was submitted"]
    assert not any(line.startswith("this run") for line in lines)


def test_a_run_that_only_collected_says_both(summary: Callable[..., Summary]) -> None:
    lines = summary_lines(summary(submitted_now=0, finished_now=3), command=RUN)
    assert lines[1:3] == ["nothing was submitted", "this run: 0 submitted, 3 finished in 40 s"]


def test_a_run_that_left_something_accounts_for_every_row_and_says_how_to_go_on(
    summary: Callable[..., Summary], doubt: Doubt, by_state: Callable[..., dict[RowState, int]]
) -> None:
    left = summary(
        counts=by_state(done=5, pending=4, running=2, failed=1, canceled=1, expired=1, in_doubt=1),
        cost=Cost(spent=240_000, reserved=160_000, to_go=160_000, cap=500_000),
        reasons={"NSFW content detected": 1},
        doubts=(doubt,),
        stopped_because="stopped by Ctrl-C",
        skipped=3,
        gone={RowState.DONE: 2, RowState.PENDING: 4},
    )
    lines = summary_lines(left, command=RUN)
    assert lines[:9] == [
        "done: 5 of 15 rows",
        "left: 4 pending, 2 running",
        "ended early: stopped by Ctrl-C",
        "left out: 3 rows with mistakes (--skip-bad)",
        "no longer in the manifest: 2 done",
        "failed: 1 row",
        "  1 row: NSFW content detected",
        "canceled: 1 row, stopped at the service, which may charge for what it had begun",
        "expired: 1 row, made and paid for, but removed by the service before they were fetched",
    ]
    assert any(line.startswith("in doubt: 1 row") for line in lines)
    assert lines[-6:] == [
        "$0.24 paid, $0.16 reserved for what runs or is in doubt, $0.16 to go, at most $0.50",
        "to go on: batchfill run night.csv",
        "to try failed rows again: batchfill run night.csv --retry failed",
        "to submit canceled rows again, and pay for them again: batchfill run night.csv --retry canceled",
        "to make expired rows again, and pay for them again: batchfill run night.csv --retry expired",
        "pictures: night.batch/outputs",
    ]


def test_rows_whose_pictures_were_made_are_not_to_be_tried_again_without_a_word_of_paying_again(
    summary: Callable[..., Summary], by_state: Callable[..., dict[RowState, int]]
) -> None:
    ended = summary(counts=by_state(failed=3), failed_made=2)
    offered = [line for line in summary_lines(ended, command=RUN) if "--retry failed" in line]
    assert offered == [
        "to try failed rows again, and pay again for 2 rows that the service had made: "
        "batchfill run night.csv --retry failed"
    ]


def test_of_many_failure_reasons_the_ten_most_frequent_are_shown(
    summary: Callable[..., Summary], by_state: Callable[..., dict[RowState, int]]
) -> None:
    reasons = {f"reason {n}": n for n in range(1, 13)}
    lines = summary_lines(summary(counts=by_state(failed=78), reasons=reasons), command=RUN)
    assert "  12 rows: reason 12" in lines
    assert "  2 rows: reason 2" not in lines
    assert "… and 2 more reasons" in lines


def test_an_unknown_cost_says_how_to_give_a_price(summary: Callable[..., Summary]) -> None:
    lines = summary_lines(summary(cost=Cost(None, None, None, None)), command=RUN)
    assert "price unknown: what a picture costs here is not known (--price AMOUNT gives it)" in lines
