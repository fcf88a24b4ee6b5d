"""Care after trouble: creates pause, then go one at a time until one is accepted."""

from __future__ import annotations

FIRST_PAUSE = 5.0
LONGEST_PAUSE = 60.0


class Care:
    """Keeps an outage from putting a whole batch in doubt: only one create at a time can be lost."""

    def __init__(self) -> None:
        self._pause = FIRST_PAUSE
        self._until = 0.0
        self.careful = False
        """Whether creates go one at a time."""

    def trouble(self, now: float) -> None:
        """A create's answer was lost, or the service could not be reached."""
        if self.careful and now < self._until:
            return  # its companions in flight failed with it: one outage, one pause
        self._until = now + self._pause
        self._pause = min(LONGEST_PAUSE, self._pause * 2)
        self.careful = True

    def accepted(self) -> None:
        """A create was accepted: all is well again."""
        self.careful = False
        self._pause = FIRST_PAUSE

    def wait(self, now: float, creates_open: int) -> float | None:
        """Return how long the next create has to wait: 0.0 not at all, None until an open one is answered."""
        if not self.careful:
            return 0.0
        if now < self._until:
            return self._until - now
        return None if creates_open else 0.0
