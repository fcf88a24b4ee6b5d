"""Rows whose creates the service refused: one such row must not end a night, and five alike must."""

from __future__ import annotations

from collections import deque
from enum import Enum, auto
from typing import TYPE_CHECKING

from batchfill.errors import kind_of

if TYPE_CHECKING:
    from batchfill.errors import ServiceRefused

MANY_ROWS = 5
"""Different rows that were refused alike: then it is not about the rows."""

WINDOW = 300.0
"""Seconds within which they were."""


class AfterRefusal(Enum):
    """What becomes of a row whose create was refused, and of the run."""

    WAIT = auto()
    """Others go first, and then it is asked once more. It costs no attempt."""
    FAIL = auto()
    """It was asked twice."""
    END = auto()
    """Submitting ends, and the row stays pending."""


class RefusedRows:
    """Decides what follows from the refusals of one run, without a clock."""

    def __init__(self) -> None:
        self._asked: set[str] = set()
        self._latest: deque[tuple[float, str, str]] = deque(maxlen=1000)

    def add_refusal(self, key: str, error: ServiceRefused, *, now: float, any_accepted: bool) -> AfterRefusal:
        """Note that the create of the row *key* was refused *now*, and return what follows.

        *any_accepted*: whether the service ever accepted a row of the batch. If not, base, token or model
        are wrong.
        """
        kind = f"{error.status} {kind_of(str(error))}"
        self._latest.append((now, kind, key))
        alike = {row for at, known, row in self._latest if known == kind and now - at <= WINDOW}
        if error.final or not any_accepted or len(alike) >= MANY_ROWS:
            return AfterRefusal.END
        if key in self._asked:
            return AfterRefusal.FAIL
        self._asked.add(key)
        return AfterRefusal.WAIT
