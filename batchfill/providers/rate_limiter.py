"""How fast requests may leave: a token bucket in which all wait when one is throttled."""

from __future__ import annotations

from math import exp

import anyio

DEFAULT_PAUSE = 5.0
"""Seconds to pause when a 429 names no time."""

SPARE = 1.0
"""Seconds that a pause lasts longer than it is said to: services tell whole ones, cut off."""

SLOWEST = 1.0
"""A minute: what throttling never goes below."""

RECOVERY = 120.0
"""Seconds of quiet after which the pace is back near the one that was refused last; more for slow paces."""

_REQUESTS = 60
"""So many at least until then: where six a minute are allowed, each refusal is one of few."""

_SOON = 0.1
"""Of the recovery: a refusal that comes sooner after the last pause says that the pace is far too high."""

_IN_A_ROW = 5
"""Pauses without a request let through between them, after which one more says nothing of the pace."""

_PROBING = 0.3
_NEAR = 0.97


class RateLimiter:
    """Lets callers through in their order, at most *per_minute* of them and *burst* at once.

    A throttled answer pauses all requests and lowers the pace: by a tenth when it comes after long quiet, by
    half when it comes at once. Accepted ones raise it again: quickly to just below the pace that was
    refused, slowly past it, and then ever faster, since that limit seems to be gone.
    """

    def __init__(self, per_minute: float, *, burst: int | None = None) -> None:
        """*burst*: how many may go at once after a rest; by default half a second's worth.

        A service that allows a second's worth counts by when they arrive, which may be closer together.
        """
        self.asked = per_minute
        """A minute: what the pace recovers to."""
        self.per_minute = per_minute
        """A minute: the present pace."""
        self.allowed: float | None = None
        """A minute: what the service was seen to let through; None where that may be all that is asked."""
        self.paused_until = float("-inf")
        """By anyio.current_time(); in the past when no caller has to wait."""
        self.throttled_for = 0.0
        """Seconds for which throttled answers made requests wait, in all."""
        self._burst = burst or max(1, round(per_minute / 120))
        self._line = anyio.Lock(fast_acquire=True)
        self._earned = float("-inf")
        self._limit = per_minute
        self._lowered = per_minute
        self._refused = 0
        """Pauses since the last accepted request."""

    async def acquire(self) -> None:
        """Wait for this caller's turn."""
        async with self._line:
            # A pause may have begun while this caller slept.
            while (wait := self._due_time() - anyio.current_time()) > 0:  # noqa: ASYNC110 - time is what it waits for
                await anyio.sleep(wait)
            self._earned = max(self._earned, anyio.current_time()) + self._gap_seconds

    def throttled(self, wait: float | None) -> None:
        """Pause for *wait* seconds and SPARE more; lower the pace, once a pause."""
        now = anyio.current_time()
        if now >= self.paused_until:
            self._lower_rate(self._quiet_time(now))
        pause = DEFAULT_PAUSE if wait is None else max(wait, 0.0)
        until = max(self.paused_until, now + pause + SPARE)
        self.throttled_for += until - max(self.paused_until, now)
        self.paused_until = until
        # Nothing is saved up during a pause: a burst at its end would earn the next one.
        self._earned = max(self._earned, self.paused_until + (self._burst - 1) * self._gap_seconds)

    def accepted(self) -> None:
        """Raise a lowered pace, by the time that has been quiet since the last pause."""
        now = anyio.current_time()
        if self.per_minute >= self.asked or now < self.paused_until:
            return
        self._refused = 0
        quiet = self._quiet_time(now)
        self.per_minute = min(max(self.per_minute, self._raised_rate(quiet)), self.asked)
        if self.per_minute >= self.asked:
            self.allowed = None
        elif _SOON <= quiet < 1:
            self.allowed = self.per_minute

    def _lower_rate(self, quiet: float) -> None:
        # A service that refuses everything for a while says nothing of what it allows afterwards.
        if not self._refused:
            self._limit = self.per_minute * _NEAR
        self._refused += 1
        if self._refused > _IN_A_ROW:
            return
        factor = 0.5 + 0.4 * min(1.0, quiet / _SOON)
        self.per_minute = self._lowered = max(self.per_minute * factor, min(SLOWEST, self.asked))
        # What the network bunches up is refused where the pace is just kept.
        self._burst = min(self._burst, max(1, round(self.per_minute / 600)))

    def _quiet_time(self, now: float) -> float:
        """Return the time since the last pause, in recoveries."""
        return (now - self.paused_until) / max(RECOVERY, 60 * _REQUESTS / self._limit)

    def _raised_rate(self, quiet: float) -> float:
        """Return the pace after so many recoveries: from the lowered one to the limit, rest, and past it."""
        if quiet < 1:
            return self._limit - (self._limit - self._lowered) * (1 - quiet) ** 3
        return self._limit * exp(_PROBING * min(quiet - 1, 8.0) ** 3)

    @property
    def _gap_seconds(self) -> float:
        return 60 / self.per_minute

    def _due_time(self) -> float:
        return max(self.paused_until, self._earned - (self._burst - 1) * self._gap_seconds)
