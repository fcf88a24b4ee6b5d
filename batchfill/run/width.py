"""How many creates may be open at once: only what keeps up, since a crash may leave each of them in doubt."""

from __future__ import annotations

from math import ceil

CREATES_AT_ONCE = 8
"""Open at once at most, and so in doubt after one crash; enough for 600 a minute at 0.8 s each."""

SLACK = 2
"""Times as many as an even flow needs: predictions end, and are noticed, in bunches."""

_WEIGHT = 0.2
"""Of the newest answer in the time that is learned."""


class Width:
    """Learns how long a create takes to be answered and recorded."""

    def __init__(self) -> None:
        self._takes: float | None = None

    def answered(self, seconds: float) -> None:
        """Learn from an accepted create, *seconds* from its intent to its record."""
        self._takes = seconds if self._takes is None else (1 - _WEIGHT) * self._takes + _WEIGHT * seconds

    def needed(self, per_second: float) -> int:
        """Return how many have to be open to make so many *per_second*, with one more to begin meanwhile.

        Before the first answer it is one: that says how long they take, and whether they are accepted at all.
        """
        if self._takes is None:
            return 1
        # A clock that was set back in the meantime makes a time negative.
        return 1 + min(CREATES_AT_ONCE - 1, max(0, ceil(SLACK * per_second * self._takes)))
