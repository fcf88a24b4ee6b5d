from __future__ import annotations

import anyio

from batchfill.wakeup import Wakeup


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


async def test_one_that_gave_up_waiting_keeps_no_other_from_being_woken() -> None:
    bell, woken = Wakeup(), []

    async def wait(seconds: float | None) -> None:
        await bell.wait(bell.version, seconds)
        woken.append(seconds)

    with anyio.fail_after(30):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(wait, None)
            await wait(0.0)
            await bell.wait(bell.version, 0.001)
            bell.notify()
            bell.notify()
    assert woken == [0.0, None]
