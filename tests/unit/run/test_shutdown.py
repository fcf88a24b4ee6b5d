from __future__ import annotations

from itertools import cycle, islice

import anyio
import pytest

from batchfill.domain.rows import RowState
from batchfill.run.shutdown import MANY, FailureStreak, StopSignal, exit_code

TABLE = [
    # rows of the manifest, rows gone from it, refused, skipped → exit code
    ({"done": 5}, {}, False, 0, 0),
    ({}, {}, False, 0, 0),
    ({"done": 5}, {"pending": 2, "failed": 1, "done": 1}, False, 0, 0),
    ({"done": 4, "failed": 1}, {}, False, 0, 1),
    ({"done": 4, "canceled": 1}, {}, False, 0, 1),
    ({"done": 4, "canceled": 1, "pending": 1}, {}, False, 0, 3),
    ({"done": 5}, {"canceled": 1}, False, 0, 0),
    ({"done": 4, "expired": 1}, {}, False, 0, 1),
    ({"done": 4, "in_doubt": 1}, {}, False, 0, 1),
    ({"done": 5}, {}, False, 1, 1),
    ({"done": 4, "pending": 1}, {}, False, 0, 3),
    ({"done": 4, "submitting": 1}, {}, False, 0, 3),
    ({"done": 4, "running": 1}, {}, False, 0, 3),
    ({"done": 4, "collecting": 1}, {}, False, 0, 3),
    ({"failed": 4, "pending": 1}, {}, False, 3, 3),
    ({"done": 5}, {"running": 1}, False, 0, 3),
    ({"done": 5}, {"collecting": 1}, False, 0, 3),
    ({"done": 5}, {"submitting": 1}, False, 0, 3),
    ({"pending": 5}, {}, True, 0, 4),
    ({"done": 5}, {}, True, 0, 4),
]


@pytest.mark.parametrize(("counts", "gone", "refused", "skipped", "code"), TABLE)
def test_the_exit_code_is_the_first_that_applies(
    counts: dict[str, int], gone: dict[str, int], refused: bool, skipped: int, code: int
) -> None:
    present = {state: counts.get(state.value, 0) for state in RowState}
    absent = {RowState(state): rows for state, rows in gone.items()}
    stopping = StopSignal()
    if refused:
        stopping.stop_submitting("401", refused=True)
    assert exit_code(present, absent, stopping, skipped=skipped) == code


def test_a_run_that_was_stopped_with_nothing_left_has_done_all() -> None:
    stopping = StopSignal()
    stopping.stop_submitting("--limit 5 reached")
    present = {state: 5 if state is RowState.DONE else 0 for state in RowState}
    assert exit_code(present, {}, stopping, skipped=0) == 0


def test_the_tenth_failure_alike_is_told() -> None:
    alike = FailureStreak()
    assert [alike.record_failure("the model is gone") for _ in range(MANY + 1)] == [False] * 9 + [True, True]


def test_numbers_ids_and_letter_case_make_no_difference() -> None:
    alike = FailureStreak()
    reasons = [f"Error {n}: prediction <{n * 7}> FAILED{'!' * n}" for n in range(MANY)]
    assert [alike.record_failure(reason) for reason in reasons][-1]


def test_a_success_in_between_begins_the_count_again() -> None:
    alike = FailureStreak()
    for _ in range(MANY - 1):
        assert not alike.record_failure("the model is gone")
    alike.record_success()
    assert [alike.record_failure("the model is gone") for _ in range(MANY)] == [False] * 9 + [True]


def test_failures_of_two_kinds_are_not_alike() -> None:
    alike = FailureStreak()
    reasons = islice(cycle(["the model is gone", "the mask is empty"]), 100)
    assert not any(alike.record_failure(reason) for reason in reasons)


def test_ten_rows_that_fail_alike_end_submitting() -> None:
    stopping = StopSignal()
    for _ in range(MANY - 1):
        stopping.record_failure("the model is gone")
    assert stopping.because is None
    stopping.record_failure("the model is gone")
    assert stopping.because == "ten rows in a row failed alike: the model is gone"


def test_reasons_without_a_word_count_too() -> None:
    alike = FailureStreak()
    assert [alike.record_failure("503") for _ in range(MANY)][-1]


def test_the_first_reason_counts() -> None:
    stopping = StopSignal()
    stopping.stop_submitting("--limit 3 reached")
    stopping.stop_submitting("stopped by the user", by_user=True)
    assert stopping.because == "--limit 3 reached"
    assert stopping.by_user


def test_ctrl_c_stops_in_three_stages() -> None:
    stopping = StopSignal()
    assert stopping.interrupt() == 1
    assert (stopping.because, stopping.by_user, stopping.at_once) == ("stopped by the user", True, False)
    assert stopping.interrupt() == 2
    assert stopping.at_once
    assert stopping.interrupt() == 3


def test_ctrl_c_after_another_stop_still_waits_for_what_runs() -> None:
    stopping = StopSignal()
    stopping.stop_submitting("--until 07:00 reached")
    assert stopping.interrupt() == 1
    assert not stopping.at_once


def test_every_change_rings() -> None:
    stopping = StopSignal()
    for n, change in enumerate(
        (lambda: stopping.stop_submitting("a"), lambda: stopping.stop_now("b"), stopping.cancel_all)
    ):
        assert stopping.wakeup.version == n
        change()
    assert stopping.wakeup.version == 3


async def test_what_waits_for_a_reason_to_stop_sleeps_through_rows_that_end() -> None:
    stopping, woken = StopSignal(), 0

    async def wait() -> None:
        nonlocal woken
        while stopping.because is None:
            await stopping.changed.wait(stopping.changed.version)
            woken += 1

    with anyio.fail_after(30):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(wait)
            for _ in range(5):
                stopping.wakeup.notify()
                await anyio.wait_all_tasks_blocked()
            assert woken == 0
            stopping.cancel_all()
    assert woken == 1
