"""Failures that are all alike: the sign that no row can succeed."""

from __future__ import annotations

import re

MANY = 10


class Alike:
    """Counts rows that failed for the same reason with no success in between."""

    def __init__(self) -> None:
        self._kind = ""
        self._count = 0

    def failed(self, reason: str) -> bool:
        """Note a failed row; return whether it was the tenth alike in a row."""
        kind = re.sub(r"[\d\W]+", " ", reason).strip().lower()
        self._count = self._count + 1 if kind == self._kind else 1
        self._kind = kind
        return self._count >= MANY

    def succeeded(self) -> None:
        """A row succeeded: the row of failures is broken."""
        self._count = 0
