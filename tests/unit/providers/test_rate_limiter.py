"""The pace: who waits, for how long, and in which order."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import pytest

from batchfill.providers.rate_limiter import RateLimiter

if TYPE_CHECKING:
    from tests.unit.providers.conftest import LoopClock


async def test_after_the_burst_turns_come_at_the_pace(loop_clock: LoopClock) -> None:
    pace = RateLimiter(60, burst=3)
    times = []
    for _ in range(6):
        await pace.acquire()
        times.append(loop_clock.now - 1000)
    assert times == [0, 0, 0, 1, 2, 3]


async def test_a_rest_earns_no_more_than_the_burst(loop_clock: LoopClock) -> None:
    pace = RateLimiter(60, burst=2)
    await pace.acquire()
    loop_clock.now += 3600
    times = []
    for _ in range(3):
        await pace.acquire()
        times.append(loop_clock.now - 4600)
    assert times == [0, 0, 1]


async def test_turns_come_in_the_order_of_asking(loop_clock: LoopClock) -> None:
    pace, order = RateLimiter(60, burst=1), []

    async def ask(number: int) -> None:
        await pace.acquire()
        order.append(number)

    async with anyio.create_task_group() as group:
        for number in range(20):
            group.start_soon(ask, number)
    assert order == list(range(20))
    assert loop_clock.now == 1019


async def test_a_canceled_caller_takes_no_turn(loop_clock: LoopClock) -> None:
    pace = RateLimiter(60, burst=1)
    with anyio.CancelScope() as scope:
        scope.cancel()
        await pace.acquire()
    assert scope.cancelled_caught
    await pace.acquire()
    assert loop_clock.now == 1000


async def test_a_throttled_answer_makes_everybody_wait_and_one_second_more(loop_clock: LoopClock) -> None:
    pace = RateLimiter(600, burst=10)
    pace.throttled(30)
    await pace.acquire()
    assert loop_clock.now == 1031


async def test_a_pause_that_begins_during_a_sleep_counts(loop_clock: LoopClock) -> None:
    pace = RateLimiter(60, burst=1)
    await pace.acquire()
    loop_clock.meanwhile.append(lambda: pace.throttled(10))
    await pace.acquire()
    assert loop_clock.now == 1011


async def test_a_longer_wait_lengthens_the_pause_and_a_shorter_one_does_not_end_it(
    loop_clock: LoopClock,
) -> None:
    pace = RateLimiter(600)
    pace.throttled(10)
    pace.throttled(60)
    pace.throttled(1)
    assert pace.paused_until == 1061


async def test_without_a_named_time_the_pause_is_short(loop_clock: LoopClock) -> None:
    pace = RateLimiter(600)
    pace.throttled(None)
    assert pace.paused_until == 1006


async def test_nothing_is_saved_up_during_a_pause(loop_clock: LoopClock) -> None:
    pace = RateLimiter(600, burst=10)
    pace.throttled(100)
    gap = 60 / pace.per_minute
    times = []
    for _ in range(3):
        await pace.acquire()
        times.append(loop_clock.now)
    assert times == pytest.approx([1101, 1101 + gap, 1101 + 2 * gap])


async def test_many_throttled_answers_of_one_pause_lower_the_pace_once(loop_clock: LoopClock) -> None:
    pace = RateLimiter(600)
    for _ in range(50):
        pace.throttled(5)
    assert pace.per_minute == pytest.approx(540)


async def test_a_refusal_after_quiet_lowers_the_pace_by_a_tenth_and_one_at_once_by_half(
    loop_clock: LoopClock,
) -> None:
    pace = RateLimiter(600)
    pace.throttled(0)
    loop_clock.now += 1
    pace.throttled(0)
    assert pace.per_minute == pytest.approx(270)
    loop_clock.now += 60
    pace.throttled(0)
    assert pace.per_minute == pytest.approx(243)


async def test_the_pace_never_falls_below_one_a_minute(loop_clock: LoopClock) -> None:
    pace = RateLimiter(600)
    for _ in range(50):
        pace.throttled(0)
        loop_clock.now += 1
        pace.accepted()
    assert pace.per_minute == 1


async def test_a_pace_that_was_asked_to_be_slower_stays_as_asked(loop_clock: LoopClock) -> None:
    pace = RateLimiter(0.5)
    pace.throttled(0)
    assert pace.per_minute == 0.5


async def test_quiet_raises_the_pace_to_just_below_the_refused_one_then_past_it_and_no_further_than_asked(
    loop_clock: LoopClock,
) -> None:
    pace = RateLimiter(600)
    pace.throttled(0)
    seen = []
    for minute in (1, 2, 3, 4, 5):
        loop_clock.now = 1001 + minute * 60
        pace.accepted()
        seen.append(round(pace.per_minute))
    assert seen == [577, 582, 600, 600, 600]


async def test_a_service_that_refused_everything_for_a_while_is_soon_asked_as_fast_as_before(
    loop_clock: LoopClock,
) -> None:
    pace = RateLimiter(600)
    for _ in range(20):
        pace.throttled(30)
        loop_clock.now += 31
    pace.accepted()
    loop_clock.now += 120
    pace.accepted()
    assert pace.per_minute > 570


async def test_a_service_that_refused_everything_for_an_hour_is_used_within_seconds_of_its_return(
    loop_clock: LoopClock,
) -> None:
    pace = RateLimiter(600)
    while loop_clock.now < 4600:
        await pace.acquire()
        pace.throttled(5)
    times = []
    for _ in range(10):
        await pace.acquire()
        pace.accepted()
        times.append(loop_clock.now)
    assert times[0] - 4600 < 10
    assert times[-1] - times[0] < 10


async def test_an_answer_that_comes_in_during_the_pause_raises_nothing(loop_clock: LoopClock) -> None:
    pace = RateLimiter(600)
    pace.throttled(30)
    lowered = pace.per_minute
    pace.accepted()
    assert pace.per_minute == lowered


async def test_what_the_service_allows_is_known_only_where_it_is_less_than_asked(
    loop_clock: LoopClock,
) -> None:
    pace = RateLimiter(600)
    pace.throttled(0)
    loop_clock.now += 3
    pace.accepted()
    assert pace.allowed is None  # too soon to tell
    loop_clock.now += 30
    pace.accepted()
    assert pace.allowed == pytest.approx(pace.per_minute)
    loop_clock.now += 3600
    pace.accepted()
    assert pace.allowed is None
