from __future__ import annotations

from itertools import cycle, islice

import anyio

from batchfill.run.context import MANY, FailureStreak, StopSignal, Wakeup


async def test_a_ring_wakes_everybody_who_waits() -> None:
    bell, woken = Wakeup(), []

    async def wait(n: int) -> None:
        await bell.wait(bell.version)
        woken.append(n)

    with anyio.fail_after(30):
        async with anyio.create_task_group() as tasks:
            for n in range(3):
                tasks.start_soon(wait, n)
            await anyio.wait_all_tasks_blocked()
            assert woken == []
            bell.notify()
    assert sorted(woken) == [0, 1, 2]


async def test_a_ring_between_looking_and_waiting_is_not_missed() -> None:
    bell = Wakeup()
    seen = bell.version
    bell.notify()
    with anyio.fail_after(30):
        await bell.wait(seen)


async def test_an_earlier_ring_wakes_nobody() -> None:
    bell = Wakeup()
    bell.notify()
    with anyio.move_on_after(0.01) as scope:
        await bell.wait(bell.version)
    assert scope.cancelled_caught


async def test_without_a_ring_it_returns_when_its_time_has_come() -> None:
    bell = Wakeup()
    with anyio.fail_after(30):
        await bell.wait(bell.version, 0.0)
        await bell.wait(bell.version, 0.01)
    assert bell.version == 0


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
