"""Time and chance, as the stages are given them."""

from __future__ import annotations

import asyncio
import math
import random
import time
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Protocol
from uuid import UUID

if TYPE_CHECKING:
    import datetime as dt


class Clock(Protocol):
    """What o'clock it is."""

    def now(self) -> float:
        """Return seconds since the epoch."""


SET_BACK = 1.0
"""Seconds by which the machine's clock has to run backward to count as set."""


class SystemClock:
    """The machine's clock; where that is set back, it goes on from where it was: waits end all the same."""

    def __init__(self) -> None:
        self._ahead = 0.0
        self._last = 0.0

    def now(self) -> float:
        """Return seconds since the epoch."""
        now = time.time() + self._ahead
        if now < self._last - SET_BACK:
            self._ahead += self._last - now
            now = self._last
        self._last = now
        return now


class Deadline:
    """A time of day to be done by, as of --until; None: never."""

    def __init__(self, time_of_day: dt.time | None, now: float) -> None:
        """*now*: seconds since the epoch when the run begins; the time meant is the next one after it."""
        self._time = time_of_day
        self._at = math.inf if time_of_day is None else _next_time(time_of_day, now)

    def seconds_left(self, now: float, fetched: float) -> float:
        """Return seconds until submitting must end so that a row can be *fetched* so many seconds later."""
        return self._at - now - fetched

    def __str__(self) -> str:
        return f"{self._time:%H:%M}" if self._time else "never"


def _next_time(time_of_day: dt.time, now: float) -> float:
    today = datetime.fromtimestamp(now).date()
    days = (today, today + timedelta(days=1))
    # Without a zone, so that a change to or from summer time in between comes out right; in the night when
    # the clock is put back a time comes twice (fold).
    times = (datetime.combine(day, time_of_day.replace(fold=fold)) for day in days for fold in (0, 1))
    return next(at.timestamp() for at in times if at.timestamp() > now)


def loop_time() -> float:
    """Return the event loop's seconds, as anyio.current_time() does at a tenth of its cost."""
    return asyncio.get_running_loop().time()


class Chance(Protocol):
    """What is drawn by lot."""

    def seed(self) -> int:
        """Return a seed for the model: 1 … 2^31-1 (0 counts as no seed at the service)."""

    def key(self) -> str:
        """Return a key that no other create has: 128 random bits, as a UUID."""

    def between(self, low: float, high: float) -> float:
        """Return a number in that range."""


class SystemChance:
    """The machine's randomness."""

    def __init__(self) -> None:
        self._random = random.SystemRandom()

    def seed(self) -> int:
        """Return a seed for the model: 1 … 2^31-1."""
        return self._random.randint(1, 2**31 - 1)

    def key(self) -> str:
        """Return a key that no other create has."""
        return str(UUID(int=self._random.getrandbits(128), version=4))

    def between(self, low: float, high: float) -> float:
        """Return a number in that range."""
        return self._random.uniform(low, high)
