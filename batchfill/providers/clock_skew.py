"""How far the service's clock is ahead of ours, learned from its answers."""

from __future__ import annotations

from collections import deque
from statistics import median
from typing import NamedTuple

from batchfill.providers.status_codes import read_http_date

_REMEMBERED = 15


_SET = 30.0
"""Seconds by which our clock has to move against a steady one to count as set, or as having slept."""


class Moment(NamedTuple):
    """One moment by two clocks."""

    now: float
    """Ours, in seconds since the epoch."""
    steady: float
    """Seconds by one that is never set."""

    @property
    def ahead(self) -> float:
        """Seconds that ours is ahead of the steady one."""
        return self.now - self.steady


class ServiceClock:
    """The difference between two clocks: the median of the last answers' Date headers.

    What was learned before our clock was set is forgotten: an intent dated by it would be looked for at the
    wrong time, and be taken for one that never was.
    """

    def __init__(self) -> None:
        self._offsets: deque[float] = deque(maxlen=_REMEMBERED)
        self._ahead = 0.0
        """Our clock's lead over the steady one when it was last looked at."""

    def offset(self, moment: Moment) -> float | None:
        """Return seconds that the service's clock is ahead of ours; None before the first answer."""
        self._notice_jump(moment)
        return median(self._offsets) if self._offsets else None

    def learn_date(self, date: str | None, *, asked: Moment, answered: Moment) -> None:
        """Take in the Date header of an answer."""
        self._notice_jump(answered)
        if abs(answered.ahead - asked.ahead) > _SET:
            return
        theirs = read_http_date(date) if date else None
        if theirs is not None:
            # The header is cut to whole seconds, and was written somewhere on the way.
            self._offsets.append(theirs + 0.5 - (asked.now + answered.now) / 2)

    def _notice_jump(self, moment: Moment) -> None:
        if abs(moment.ahead - self._ahead) > _SET:
            self._offsets.clear()
        self._ahead = moment.ahead
