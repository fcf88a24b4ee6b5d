from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from batchfill.domain.progress import Progress
from batchfill.domain.reports import Cost
from batchfill.domain.rows import RowState
from batchfill.notify.stall import LONGEST_STEP, STALL_TIME, StallDetector, stall_after

NONE = dict.fromkeys(RowState, 0)
COST = Cost(spent=0, reserved=40_000, to_go=0, cap=None)


def report(elapsed: float = 0.0, *, run_time: float | None = None, **rows: int) -> Progress:
    counts = NONE | {RowState(state): number for state, number in rows.items()}
    return Progress(counts, {}, COST, elapsed, 0, None, None, run_time=run_time)


@pytest.mark.parametrize(
    ("run_time", "seconds"),
    [(None, 900.0), (15.0, 900.0), (180.0, 900.0), (200.0, 1000.0), (1800.0, 9000.0)],
)
def test_patience_is_a_quarter_of_an_hour_or_what_five_runs_take(
    run_time: float | None, seconds: float
) -> None:
    assert stall_after(run_time) == seconds


@pytest.mark.parametrize(
    ("rows", "seconds", "run_time", "stall"),
    [
        ({"running": 1}, STALL_TIME - 1, None, False),
        ({"running": 1}, STALL_TIME, None, True),
        ({"pending": 3}, STALL_TIME, 10.0, True),
        ({"submitting": 1}, STALL_TIME, 10.0, True),
        ({"collecting": 1, "done": 9}, STALL_TIME, 10.0, True),
        ({"running": 1}, STALL_TIME, 600.0, False),
        ({"running": 1}, 3_000.0, 600.0, True),
        ({"done": 9, "failed": 1, "in_doubt": 1}, 10 * STALL_TIME, None, False),
    ],
)
def test_a_stall_is_long_stillness_with_rows_running_or_due(
    rows: dict[str, int], seconds: float, run_time: float | None, stall: bool
) -> None:
    assert StallDetector(report(run_time=run_time, **rows), seconds).is_stall is stall


def test_rows_gone_from_the_manifest_that_still_run_count() -> None:
    progress = replace(report(done=1), gone={RowState.RUNNING: 1})
    assert StallDetector(progress, STALL_TIME).is_stall


@pytest.mark.parametrize(
    "change",
    [
        {"counts": NONE | {RowState.RUNNING: 1, RowState.DONE: 1}},
        {"gone": {RowState.DONE: 1}},
        {"cost": replace(COST, reserved=80_000)},
    ],
    ids=["a row ended", "one that is gone ended", "an attempt was paid for"],
)
def test_whatever_moves_ends_the_stillness(change: dict[str, Any]) -> None:
    still = StallDetector(report(running=2), 800.0, told=True)
    moved = replace(report(10.0, running=2), **change)
    assert still.and_then(moved) == StallDetector(moved)


def test_stillness_grows_with_the_reports() -> None:
    still = StallDetector(report(running=2), 100.0, told=True).and_then(report(30.0, running=2))
    assert (still.seconds, still.told) == (130.0, True)


@pytest.mark.parametrize(("elapsed", "counted"), [(8 * 3600.0, LONGEST_STEP), (-3600.0, 0.0)])
def test_a_machine_that_slept_or_a_clock_that_was_set_is_no_stall(elapsed: float, counted: float) -> None:
    assert StallDetector(report(running=2)).and_then(report(elapsed, running=2)).seconds == counted
