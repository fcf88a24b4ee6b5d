"""Which rows moved lately: came into another state, or were decided."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from batchfill.ledger.reader import Reader

COMMITTED_WITHIN = 2.0
"""Seconds after which what a run has noted is in the ledger. What takes longer is not seen here."""


class RecentMoves:
    """The numbers of rows that moved, the latest first, by what the ledger tells of its time.

    More at once than are asked for are not told later: to go through them would hide what comes meanwhile.
    A clock that is put back, and rows that change without moving, hide changes from it, too.
    """

    def __init__(self, reader: Reader, now: Callable[[], float]) -> None:
        self._reader, self._now = reader, now
        self._after = now() - COMMITTED_WITHIN
        self._taken: set[tuple[float, int]] = set()

    def take(self, most: int) -> list[int]:
        """Return the numbers of rows that moved and were not told, the latest *most* of them."""
        now = self._now()
        found = self._reader.moved(self._after, now=now, most=most + len(self._taken))
        new = [move for move in found if move not in self._taken][:most]
        self._after = now - COMMITTED_WITHIN
        self._taken = {move for move in (*self._taken, *new) if move[0] >= self._after}
        return [number for _, number in new]
