"""What a run costs besides money: time lost, and memory."""

from __future__ import annotations

import sys


class Lost:
    """Adds up the time for which something keeps a run waiting."""

    def __init__(self) -> None:
        self._total = 0.0
        self._since: float | None = None

    def note(self, *, waits: bool, now: float) -> None:
        """It *waits* from now on, or no longer; *now* in seconds of any steady clock."""
        if self._since is not None:
            self._total += now - self._since
        self._since = now if waits else None

    def total(self, now: float) -> float:
        """Return the seconds lost up to now."""
        return self._total if self._since is None else self._total + now - self._since


def peak_memory() -> int | None:
    """Return the bytes that this process took at most; None where the system does not say."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024
