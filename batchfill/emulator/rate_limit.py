"""The provider's limit of creates a minute."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


LOW_CREDIT = 6.0, 1
"""Creates a minute, and at once, that the service allows an account with less than $5 of credit."""


class Rate:
    """A token bucket of *burst* tokens, filled again at *per_minute*."""

    def __init__(self, per_minute: float, burst: int, clock: Callable[[], float]) -> None:
        """*clock*: seconds since whenever."""
        self._gap = 60 / per_minute
        self._burst = burst
        self._clock = clock
        self.form = "low_credit" if (per_minute, burst) == LOW_CREDIT else "retry_after"
        """How a refusal is worded."""
        self._full_at = clock()

    def take(self) -> float:
        """Take one token and return 0, or the seconds until there is one, and take none."""
        missing = max(self._full_at - self._clock(), 0) / self._gap
        if missing > self._burst - 1:
            return (missing - self._burst + 1) * self._gap
        self._full_at = max(self._full_at, self._clock()) + self._gap
        return 0.0

    @property
    def remaining(self) -> int:
        """Whole tokens left."""
        return int(self._burst - max(self._full_at - self._clock(), 0) / self._gap)

    @property
    def reset(self) -> float:
        """Seconds until the bucket is full."""
        return max(self._full_at - self._clock(), 0)
