"""The pace against services that allow less than is asked, over a night of virtual time."""

from __future__ import annotations

import asyncio
from math import ceil
from typing import TYPE_CHECKING, NamedTuple, Protocol

import pytest

from batchfill.emulator.rate_limit import LOW_CREDIT, Rate
from batchfill.providers.rate_limiter import RateLimiter
from tests.chaos.nights.loop import SimLoop

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

LANES = 8
LATENCY = 0.2


class Limit(Protocol):
    """A service's limit: takes one request and returns 0, or the seconds until it takes one."""

    def take(self) -> float: ...


class EachMinute:
    """So many requests a minute of the clock, however they come."""

    def __init__(self, per_minute: int) -> None:
        self._allowed = per_minute
        self._minute, self._used = 0, 0

    def take(self) -> float:
        """Count one request."""
        now = asyncio.get_running_loop().time()
        if now // 60 != self._minute:
            self._minute, self._used = int(now // 60), 0
        self._used += 1
        return 0.0 if self._used <= self._allowed else 60 - now % 60


class Answered(NamedTuple):
    """One create's answer."""

    at: float
    accepted: bool


class Seen(NamedTuple):
    """What a stretch of time came to."""

    reached: float
    """Part of the allowed pace."""
    refused: float
    """Part of the creates."""


class Told(NamedTuple):
    """What is asked of whom, in minutes."""

    asked: float
    limits: Sequence[tuple[float, Callable[[], Limit]]]
    """From which minute on which limit holds."""
    minutes: float
    rows: float = float("inf")
    bare: bool = False
    """429 without any time."""


def bucket(per_minute: float, burst: int) -> Callable[[], Limit]:
    """Return what makes a token bucket."""
    return lambda: Rate(per_minute, burst, asyncio.get_running_loop().time)


def night(told: Told) -> list[Answered]:
    """Create as fast as the pace lets a few lanes, and return the answers."""
    with asyncio.Runner(loop_factory=SimLoop) as runner:
        return runner.run(_Night(told).play())


def seen(answers: list[Answered], allowed: float, start: float, end: float) -> Seen:
    """Return what was reached of *allowed* a minute between two minutes."""
    part = [answer.accepted for answer in answers if start * 60 <= answer.at < end * 60]
    return Seen(sum(part) / (end - start) / allowed, part.count(False) / len(part))


class _Night:
    def __init__(self, told: Told) -> None:
        self._told = told
        self._pace = RateLimiter(told.asked)
        self._limit: Limit
        self._answers: list[Answered] = []
        self._accepted = 0

    async def play(self) -> list[Answered]:
        loop = asyncio.get_running_loop()
        self._change(self._told.limits[0][1])
        for minute, limit in self._told.limits[1:]:
            loop.call_at(minute * 60, self._change, limit)
        await asyncio.gather(*(self._lane() for _ in range(LANES)))
        return self._answers

    def _change(self, limit: Callable[[], Limit]) -> None:
        self._limit = limit()

    async def _lane(self) -> None:
        loop, told = asyncio.get_running_loop(), self._told
        while loop.time() < told.minutes * 60 and self._accepted < told.rows:
            await self._pace.acquire()
            await asyncio.sleep(LATENCY / 2)
            wait = self._limit.take()
            await asyncio.sleep(LATENCY / 2)
            self._answers.append(Answered(loop.time(), wait == 0))
            if wait == 0:
                self._accepted += 1
                self._pace.accepted()
            else:
                self._pace.throttled(None if told.bare else ceil(wait))


@pytest.mark.parametrize("bare", [False, True], ids=["with times", "bare"])
@pytest.mark.parametrize("burst", [10, 1])
def test_of_1200_a_minute_where_6000_are_asked_nine_tenths_are_reached_and_few_are_refused(
    burst: int, bare: bool
) -> None:
    answers = night(Told(6000, [(0, bucket(1200, burst))], 12, bare=bare))
    settled = seen(answers, 1200, 2, 12)
    assert settled.reached >= 0.9
    assert settled.refused < 0.03


def test_a_limit_by_the_minute_of_the_clock_is_used_up_with_few_refusals() -> None:
    answers = night(Told(6000, [(0, lambda: EachMinute(1200))], 12))
    settled = seen(answers, 1200, 2, 12)
    assert settled.reached >= 0.95
    assert settled.refused < 0.03


def test_a_limit_that_changes_is_found_again_within_minutes() -> None:
    limits = [(0, bucket(600, 10)), (8, bucket(150, 10)), (20, bucket(1200, 10))]
    answers = night(Told(2400, limits, 34))
    assert [
        seen(answers, allowed, start, end).reached >= 0.9
        for allowed, start, end in ((600, 2, 8), (150, 10, 20), (1200, 27, 34))
    ] == [True] * 3
    assert seen(answers, 150, 10, 20).refused < 0.03


def test_a_limit_that_is_lifted_gives_way_to_what_was_asked() -> None:
    answers = night(Told(1200, [(0, bucket(300, 10)), (6, bucket(60_000, 1000))], 15))
    assert seen(answers, 1200, 13, 15).reached >= 0.99


@pytest.mark.parametrize("bare", [False, True], ids=["with times", "bare"])
def test_with_little_credit_600_rows_take_hardly_longer_than_they_must(bare: bool) -> None:
    answers = night(Told(600, [(0, bucket(*LOW_CREDIT))], 1000, rows=600, bare=bare))
    end = answers[-1].at / 60
    assert seen(answers, 6, 0, end).reached >= 0.9
    assert seen(answers, 6, 0, end).refused < 0.05
    assert seen(answers, 6, 10, end).refused < 0.03
