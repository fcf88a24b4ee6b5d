"""Care after trouble: creates pause, then go one at a time, behind a free question, until one is accepted."""

from __future__ import annotations

FIRST_PAUSE = 5.0
LONGEST_PAUSE = 60.0

MOST_LOST = 5
"""Answers lost in a row after which the next would be no other."""

MOST_UNREAD = 3
"""Creates in a row that were accepted in an answer that cannot be read: each may be a picture paid for."""


class Care:
    """Keeps an outage from putting a whole batch in doubt: creates are lost one at a time, and few in all."""

    def __init__(self) -> None:
        self._pause = FIRST_PAUSE
        self._until = 0.0
        self._lost = 0
        self._lost_at = 0.0
        self._unread = 0
        self.careful = False
        """Whether creates go one at a time, each behind a free question that was answered."""

    def trouble(self, now: float) -> None:
        """The service could not be reached."""
        if self.careful and now < self._until:
            return  # its companions in flight failed with it: one outage, one pause
        self._until = now + self._pause
        self._pause = min(LONGEST_PAUSE, self._pause * 2)
        self.careful = True

    def lost(self, now: float, *, intended_at: float, unread: bool) -> str | None:
        """A create's answer was lost, or (*unread*) came and cannot be used; return why to submit no more.

        *intended_at*: when that create was on its way, so that those that an outage took together count once.
        """
        if intended_at >= self._lost_at:
            self._lost, self._lost_at = self._lost + 1, now
        self._unread += unread
        self.trouble(now)
        if self._unread >= MOST_UNREAD:
            return f"{MOST_UNREAD} times the service accepted a row in an answer that cannot be read"
        if self._lost >= MOST_LOST:
            return f"the answers to {MOST_LOST} rows in a row were lost"
        return None

    def accepted(self) -> None:
        """A create was accepted: all is well again."""
        self.careful = False
        self._pause = FIRST_PAUSE
        self._lost = self._unread = 0

    def wait(self, now: float, creates_open: int) -> float | None:
        """Return how long the next create has to wait: 0.0 not at all, None until an open one is answered."""
        if not self.careful:
            return 0.0
        if now < self._until:
            return self._until - now
        return None if creates_open else 0.0
