"""Why and how far a run is stopping."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from batchfill.run.bell import Bell

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(slots=True)
class Stopping:
    """Set by whoever finds a reason; the first one counts."""

    bell: Bell = field(default_factory=Bell)
    """Rings at every change."""
    because: str | None = None
    """No new submits; what runs is finished. In words for a person."""
    by_user: bool = False
    """Somebody wants it to end: nothing is waited for that another start can do as well."""
    refused: bool = False
    """The service refused: 401, 402, 403, or no such model."""
    at_once: bool = False
    """Only open POST answers are waited for."""
    cancel: bool = False
    """The service is asked to cancel what runs."""
    on_hurry: Callable[[], object] = lambda: None
    """Called when the user will not wait for what takes long."""

    def submits(self, because: str, *, by_user: bool = False, refused: bool = False) -> None:
        """Stop submitting."""
        self.because = self.because or because
        self.by_user = self.by_user or by_user
        self.refused = self.refused or refused
        self.bell.ring()

    def everything(self, because: str, *, refused: bool = False) -> None:
        """Wait for nothing but open POST answers."""
        self.at_once = True
        self.submits(because, refused=refused)

    def cancel_all(self) -> None:
        """Stop submitting and ask the service to cancel what runs."""
        self.cancel = True
        self.submits("canceled by the user", by_user=True)

    def interrupt(self) -> int:
        """Take one Ctrl-C and return how many there were: finish what runs, then only open answers."""
        if self.at_once:
            return 3
        if self.by_user:
            self.everything("stopped by the user, without waiting for what runs")
            self.on_hurry()
            return 2
        self.submits("stopped by the user", by_user=True)
        return 1
