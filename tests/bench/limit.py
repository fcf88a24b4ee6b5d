"""The limit of creates a minute."""

from __future__ import annotations

BURST = 10
"""Creates that may come at once after a rest."""


class Limit:
    """A bucket of BURST creates, filled again at *per_minute*."""

    def __init__(self, per_minute: float) -> None:
        self._gap = 60 / per_minute
        self._full_at = 0.0

    def take(self, now: float) -> float:
        """Take one create and return 0.0, or return the seconds until there is one, and take none."""
        full_at = max(self._full_at, now)
        wait = full_at - now - (BURST - 1) * self._gap
        if wait > 0:
            return wait
        self._full_at = full_at + self._gap
        return 0.0
