"""How far the service's clock is ahead of ours, learned from its answers."""

from __future__ import annotations

from collections import deque
from statistics import median

from batchfill.api.refusals import read_http_date

_REMEMBERED = 15


class ServiceClock:
    """The difference between two clocks: the median of the last answers' Date headers."""

    def __init__(self) -> None:
        self._offsets: deque[float] = deque(maxlen=_REMEMBERED)

    @property
    def offset(self) -> float | None:
        """Seconds that the service's clock is ahead of ours, None before the first answer."""
        return median(self._offsets) if self._offsets else None

    def learn(self, date: str | None, *, asked_at: float, answered_at: float) -> None:
        """Take in a Date header; both times are seconds since the epoch by our clock."""
        theirs = read_http_date(date) if date else None
        if theirs is not None:
            # The header is cut to whole seconds, and was written somewhere on the way.
            self._offsets.append(theirs + 0.5 - (asked_at + answered_at) / 2)
