"""How long predictions run, and the shortest time in which a batch of them can be done."""

from __future__ import annotations

import heapq
from itertools import islice
from random import Random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.bench.offer import Offer


def run_times(offer: Offer) -> Iterator[float]:
    """Yield the run times of predictions in the order in which they are made, in seconds, without end."""
    chance = Random(offer.seed)
    least, most = offer.run_time * (1 - offer.spread), offer.run_time * (1 + offer.spread)
    while True:
        yield round(chance.uniform(least, most), 3)


def ideal(offer: Offer, rows: int, concurrency: int) -> float:
    """Return the seconds that *rows* take when each is made the moment there is room, and noticed at once.

    Where creates are limited, nothing is counted on that the limit lends at the start.
    """
    ends: list[float] = []
    gap = 60 / offer.creates_per_minute if offer.creates_per_minute else 0.0
    for number, run_time in enumerate(islice(run_times(offer), rows), 1):
        free = heapq.heappop(ends) if len(ends) == concurrency else 0.0
        heapq.heappush(ends, max(free, number * gap) + run_time)
    return max(ends)
