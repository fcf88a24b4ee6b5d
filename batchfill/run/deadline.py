"""`--until HH:MM`: the next such time of day."""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import time


class Deadline:
    """A time of day to be done by; None: never."""

    def __init__(self, time_of_day: time | None, now: float) -> None:
        """*now*: seconds since the epoch when the run begins; the time meant is the next one after it."""
        self._time = time_of_day
        self._at = math.inf if time_of_day is None else _next_time(time_of_day, now)

    def seconds_left(self, now: float, fetched: float) -> float:
        """Return seconds until submitting must end so that a row can be *fetched* so many seconds later."""
        return self._at - now - fetched

    def __str__(self) -> str:
        return f"{self._time:%H:%M}" if self._time else "never"


def _next_time(time_of_day: time, now: float) -> float:
    today = datetime.fromtimestamp(now).date()
    days = (today, today + timedelta(days=1))
    # Without a zone, so that a change to or from summer time in between comes out right; in the night when
    # the clock is put back a time comes twice (fold).
    times = (datetime.combine(day, time_of_day.replace(fold=fold)) for day in days for fold in (0, 1))
    return next(at.timestamp() for at in times if at.timestamp() > now)
