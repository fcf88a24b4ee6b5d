"""Time and chance, as the stages are given them."""

from __future__ import annotations

import random
import time
from typing import Protocol
from uuid import UUID


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
