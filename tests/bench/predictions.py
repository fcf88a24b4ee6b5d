"""The predictions that the service has made: when each ended, and when the client was first told of it."""

from __future__ import annotations

import secrets
from bisect import bisect_left
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PAGE = 100


@dataclass(slots=True)
class Made:
    """One prediction. Times are seconds since the epoch."""

    id: str
    model: str
    input: Mapping[str, object]
    created_at: float
    ends_at: float
    told_at: float | None = None
    """When an answer first showed that it had ended."""


class Page(NamedTuple):
    """A part of the list, newest first."""

    made: list[Made]
    below: int | None
    """Where the next page begins; None behind the last."""


class Predictions:
    """All of them, in the order in which they were made."""

    def __init__(self, run_times: Iterator[float]) -> None:
        """*run_times*: how long each will run, in the same order."""
        self._run_times = run_times
        self._all: list[Made] = []
        self._by_id: dict[str, Made] = {}

    def __len__(self) -> int:
        return len(self._all)

    def make(self, model: str, given: Mapping[str, object], now: float) -> Made:
        """Make a prediction of *model* with the input *given*."""
        # The service tells whole milliseconds, so that it keeps no more either.
        created = int(now * 1000) / 1000
        made = Made(secrets.token_hex(13), model, given, created, created + next(self._run_times))
        self._all.append(made)
        self._by_id[made.id] = made
        return made

    def find(self, id_: str) -> Made | None:
        """Return the prediction of that id."""
        return self._by_id.get(id_)

    def page(self, after: float, before: float, below: int | None = None) -> Page:
        """Return what was made from *after* until before *before*, newest first, a hundred at most.

        *below*: only what was made before the one of that number.
        """
        first, end = self._number(after), self._number(before)
        end = end if below is None else min(below, end)
        begin = max(first, end - PAGE)
        return Page(self._all[begin:end][::-1], begin if begin > first else None)

    def delays(self) -> list[float]:
        """Return how long after its end the client was told of each prediction; untold ones are left out."""
        return [made.told_at - made.ends_at for made in self._all if made.told_at is not None]

    @property
    def first_at(self) -> float | None:
        """When the first was made."""
        return self._all[0].created_at if self._all else None

    def _number(self, moment: float) -> int:
        return bisect_left(self._all, moment, key=lambda made: made.created_at)
