"""How fast requests may leave: a token bucket in which everybody waits when one is throttled."""

from __future__ import annotations

import anyio

DEFAULT_PAUSE = 5.0
"""Seconds to pause when a 429 names no time."""

SLOWEST = 1.0
"""A minute: what throttling never goes below."""

_LOWERED = 0.6
_RAISED = 0.05
_RECOVERY = 600.0


class Pace:
    """Lets callers through in their order, at most *per_minute* of them and *burst* at once.

    A throttled answer pauses everybody and lowers the pace; accepted ones raise it again, slowly.
    """

    def __init__(self, per_minute: float, *, burst: int | None = None) -> None:
        """*burst*: how many may go at once after a rest; by default a second's worth."""
        self.asked = per_minute
        """A minute: what the pace recovers to."""
        self.per_minute = per_minute
        """A minute: the present pace."""
        self.paused_until = float("-inf")
        """By anyio.current_time(); in the past when nobody has to wait."""
        self._burst = burst or max(1, round(per_minute / 60))
        self._line = anyio.Lock()
        self._earned = float("-inf")
        self._raised_at = float("-inf")

    async def turn(self) -> None:
        """Wait for this caller's turn."""
        async with self._line:
            # A pause may have begun while this caller slept.
            while (wait := self._due() - anyio.current_time()) > 0:  # noqa: ASYNC110 - time is what it waits for
                await anyio.sleep(wait)
            self._earned = max(self._earned, anyio.current_time()) + self._gap

    def throttled(self, wait: float | None) -> None:
        """Pause for *wait* seconds and one more; lower the pace, once a pause."""
        now = anyio.current_time()
        if now >= self.paused_until:
            self.per_minute = max(self.per_minute * _LOWERED, min(SLOWEST, self.asked))
        pause = DEFAULT_PAUSE if wait is None else max(wait, 0.0)
        self.paused_until = max(self.paused_until, now + pause + 1)
        # Nothing is saved up during a pause: a burst at its end would earn the next one.
        self._earned = max(self._earned, self.paused_until + (self._burst - 1) * self._gap)

    def accepted(self) -> None:
        """Raise a lowered pace a little: to the asked one within some ten minutes of quiet."""
        now = anyio.current_time()
        if self.per_minute >= self.asked or now < self.paused_until:
            return
        quiet = now - max(self._raised_at, self.paused_until)
        step = min(self.per_minute * _RAISED, self.asked * quiet / _RECOVERY)
        self.per_minute = min(self.per_minute + step, self.asked)
        self._raised_at = now

    @property
    def _gap(self) -> float:
        return 60 / self.per_minute

    def _due(self) -> float:
        return max(self.paused_until, self._earned - (self._burst - 1) * self._gap)
