"""Time and chance, as the stages are given them."""

from __future__ import annotations

import random
import time
from typing import Protocol


class Clock(Protocol):
    """What o'clock it is."""

    def now(self) -> float:
        """Return seconds since the epoch."""


class SystemClock:
    """The machine's clock."""

    def now(self) -> float:
        """Return seconds since the epoch."""
        return time.time()


class Chance(Protocol):
    """What is drawn by lot."""

    def seed(self) -> int:
        """Return a seed for the model: 1 … 2^31-1 (0 counts as no seed at the service)."""

    def between(self, low: float, high: float) -> float:
        """Return a number in that range."""


class SystemChance:
    """The machine's randomness."""

    def __init__(self) -> None:
        self._random = random.SystemRandom()

    def seed(self) -> int:
        """Return a seed for the model: 1 … 2^31-1."""
        return self._random.randint(1, 2**31 - 1)

    def between(self, low: float, high: float) -> float:
        """Return a number in that range."""
        return self._random.uniform(low, high)
