"""Which running predictions to look at now: many in one list, or one by one. Decides, and asks nothing."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from dataclasses import dataclass
from heapq import heappop, heappush, nsmallest
from itertools import count
from math import inf
from typing import TYPE_CHECKING

from batchfill.run.run_times import LONGEST_FIRST_LOOK

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from batchfill.domain.rows import Attempt
    from batchfill.run.run_times import RunTimes

FEW = 3
"""Predictions that may have ended, from which one list is less than asking for each."""

MANY = 30
"""Predictions that run, from which a few end between one list and the next: worth waiting for them."""

PROBES = 3
"""Predictions asked for at once while it is not known how long a run takes."""

GIVEN_UP = 5
"""Lists in a row that showed no end, after which lists rest: they lag, or show what others made."""

REST = 60.0
"""Seconds for which lists rest then, or after one that could not be read."""

UNLEARNED = 30.0
"""Seconds that a prediction may take before lists without it count as in vain, while no run time is known."""

OVERDUE = 5.0
"""Seconds beyond twice the longest run after which a prediction is asked for, whatever lists show.

At the latest after LONGEST_FIRST_LOOK.
"""


@dataclass(slots=True)
class Tracked:
    """A prediction that runs, and what is known of its end. Times are those of the event loop."""

    attempt: Attempt
    began: float
    listable: bool
    """Whether the provider's list can show it, without sending much else."""
    asked: int = 0
    """How often it was asked for by itself."""
    not_before: float = -inf
    """When it may be asked for by itself again."""
    busy: bool = False
    """Whether it is being asked for by itself."""
    paused: bool = False
    """Whether it was asked for by itself, and *not_before* is still to come."""
    overdue_since: float | None = None
    """When it was first seen to run beyond --prediction-timeout."""
    doubtful: bool = False
    """Whether its row is in doubt: it ran on for too long, and is looked at while the run lasts."""


@dataclass(frozen=True, slots=True)
class PollBatch:
    """What to ask now."""

    listed: tuple[Tracked, ...] = ()
    """To be found in one list."""
    asked: tuple[Tracked, ...] = ()
    """To be asked for one by one."""


def _order(watched: Tracked) -> tuple[float, int]:
    return watched.began, watched.attempt.number


class _ByAge:
    """Predictions in the order in which they began: what depends on their age is found by halving."""

    def __init__(self) -> None:
        self._all: list[Tracked] = []

    def __len__(self) -> int:
        return len(self._all)

    def add(self, watched: Tracked) -> None:
        insort(self._all, watched, key=_order)

    def remove(self, watched: Tracked) -> None:
        del self._all[bisect_left(self._all, _order(watched), key=_order)]

    def count_older(self, age: float, now: float) -> int:
        """Return how many have run for *age* seconds *now*: the first of all."""
        return bisect_right(self._all, now, key=lambda one: one.began + age)

    def between(self, first: int, end: int | None = None) -> list[Tracked]:
        return self._all[first:end]

    def began_at(self, place: int) -> float | None:
        """Return when the one at that *place* began; None where there are fewer."""
        return self._all[place].began if place < len(self._all) else None


@dataclass(frozen=True, slots=True)
class _Ripe:
    """The ages between which predictions may have ended, and are left to lists."""

    soonest: float
    overdue: float

    def bounds_among(self, predictions: _ByAge, now: float) -> tuple[int, int]:
        """Return from which place on, and before which, the *predictions* have these ages."""
        first = predictions.count_older(self.overdue, now)
        return first, max(first, predictions.count_older(self.soonest, now))


_NOTHING_RIPE = _Ripe(inf, inf)


class PollSchedule:
    """Every running prediction of a night, and the next look at each.

    A look costs what it finds, however many predictions run: it comes with every one that begins or ends.
    """

    def __init__(self, run_times: RunTimes) -> None:
        self._run_times = run_times
        self._tracked: dict[int, Tracked] = {}
        self._listable = _ByAge()
        """Those that lists can show, whatever else is done about them."""
        self._free = {True: _ByAge(), False: _ByAge()}
        """Those that may be asked for by themselves, by whether lists can show them."""
        self._paused: list[tuple[float, int, Tracked]] = []
        """A heap of those that may be asked for again later, and of some that left it meanwhile."""
        self._serial = count()
        self._busy = 0
        """How many are being asked for by themselves."""
        self._listing = False
        self._list_from = -inf
        self._rest_until = -inf
        self._until_learned = False
        """Whether lists rest for want of a first end, after which they may show more."""
        self._probe_from = -inf
        self._empty_lists = 0

    def __iter__(self) -> Iterator[Tracked]:
        return iter(list(self._tracked.values()))

    def add_tracked(self, watched: Tracked) -> None:
        """Look at one more from now on."""
        self.forget_tracked(watched.attempt.number)
        self._tracked[watched.attempt.number] = watched
        self._free[watched.listable].add(watched)
        if watched.listable:
            self._listable.add(watched)

    def find_tracked(self, number: int) -> Tracked | None:
        """Return what is known of an attempt's prediction; None when it has ended."""
        return self._tracked.get(number)

    def forget_tracked(self, number: int) -> Tracked | None:
        """Look no more at an attempt's prediction; return what was known."""
        watched = self._tracked.pop(number, None)
        if watched is not None:
            self._leave(watched)
            self._busy -= watched.busy
            if watched.listable:
                self._listable.remove(watched)
        return watched

    def next_batch(self, now: float) -> PollBatch:
        """Return what to ask *now*; it counts as being asked from here on."""
        self._end_pauses(now)
        ripe = self._ripe(now)
        listed: list[Tracked] = []
        if not self._listing and now >= self._list_from:
            listed = self._listable.between(*ripe.bounds_among(self._listable, now))
        if listed:
            self._listing = True
            self._list_from = now + self._list_gap(now)
        asked = self._due(ripe, now)
        for one in asked:
            self.claim(one)
        return PollBatch(tuple(listed), tuple(asked))

    def claim(self, watched: Tracked) -> bool:
        """Have it asked for by itself; False where it is already, or has ended."""
        if watched.busy or self._tracked.get(watched.attempt.number) is not watched:
            return False
        self._leave(watched)
        watched.busy = True
        self._busy += 1
        return True

    def seconds_to_next(self, now: float) -> float | None:
        """Return how long until there is something to ask; None until something else happens."""
        self._end_pauses(now)
        ripe = self._ripe(now)
        times = [at for at in self._ask_times(ripe, now) if at is not None]
        if self._run_times.expected is None and times:
            times = [max(min(times), self._probe_from)] if self._busy < PROBES else []
        first, end = ripe.bounds_among(self._listable, now)
        if first < end and (began := self._listable.began_at(first)) is not None:
            times.append(began + ripe.overdue)
        if (at := self._list_at(now)) is not None:
            times.append(at)
        return max(0.0, min(times) - now) if times else None

    def note_running(self, watched: Tracked, now: float, *, at_least: float = 0.0) -> None:
        """It was asked for by itself and has not ended, or there was no answer."""
        watched.asked += 1
        watched.not_before = now + max(at_least, self._run_times.next_look(watched.asked))
        self._probe_from = now + self._run_times.next_look(1)
        if watched.busy and self._tracked.get(watched.attempt.number) is watched:
            watched.busy, watched.paused = False, True
            self._busy -= 1
            heappush(self._paused, (watched.not_before, next(self._serial), watched))

    def note_list(self, listed: Sequence[Tracked], now: float, *, ended: int) -> None:
        """A list was read, and showed that so many of those *listed* have *ended*."""
        self._listing = False
        unlearned = self._run_times.expected is None
        slow = UNLEARNED if unlearned else min(self._run_times.maximum, LONGEST_FIRST_LOOK)
        late = any(one.began + slow < now for one in listed)
        self._empty_lists = 0 if ended else self._empty_lists + late
        if self._empty_lists >= GIVEN_UP:
            self._empty_lists = 0
            self._rest_until, self._until_learned = now + REST, unlearned

    def not_listed(self, now: float, *, never: bool) -> None:
        """A list could not be read; *never*: the provider has none."""
        self._listing = False
        self._rest_until, self._until_learned = inf if never else now + REST, False

    @property
    def _rest_end(self) -> float:
        """Until when no list is read."""
        learned = self._until_learned and self._run_times.expected is not None
        return -inf if learned else self._rest_until

    def _leave(self, watched: Tracked) -> None:
        """Take it out of those that may be asked for by themselves, now or later."""
        if watched.paused:
            watched.paused = False
        elif not watched.busy:
            self._free[watched.listable].remove(watched)

    def _end_pauses(self, now: float) -> None:
        while self._paused:
            at, _, watched = self._paused[0]
            # One that has ended, or was asked for meanwhile, is passed over.
            stands = watched.paused and watched.not_before == at
            if stands and at > now:
                return
            heappop(self._paused)
            if stands:
                watched.paused = False
                self._free[watched.listable].add(watched)

    def _ripe(self, now: float) -> _Ripe:
        """Return at what age predictions are left to lists; at none where they are too few for one."""
        if now < self._rest_end:
            return _NOTHING_RIPE
        ripe = _Ripe(self._run_times.minimum(), self._overdue_age())
        first, end = ripe.bounds_among(self._listable, now)
        return ripe if end - first >= FEW else _NOTHING_RIPE

    def _list_at(self, now: float) -> float | None:
        if self._listing or self._rest_end == inf:
            return None
        oldest = self._listable.count_older(self._overdue_age(), now)
        began = self._listable.began_at(oldest + FEW - 1)
        if began is None:
            return None
        return max(self._list_from, self._rest_end, began + self._run_times.minimum())

    def _due(self, ripe: _Ripe, now: float) -> list[Tracked]:
        """Return those to be asked for *now* that no list shows, the longest due first."""
        unlearned = self._run_times.expected is None
        most = self._count_probes(now) if unlearned else len(self._tracked)
        found: list[Tracked] = []
        for listable, free in self._free.items() if most else ():
            first, end = ripe.bounds_among(free, now) if listable else (0, 0)
            due = free.count_older(self._first_look(now, listable=listable), now)
            found += free.between(0, min(first, due)) + free.between(end, due)
        return nsmallest(most, found, key=lambda one: self._due_at(one, now))

    def _ask_times(self, ripe: _Ripe, now: float) -> Iterator[float | None]:
        """Yield when the next ones that no list shows are to be asked for: one of each kind."""
        yield self._paused[0][0] if self._paused else None
        for listable, free in self._free.items():
            first, end = ripe.bounds_among(free, now) if listable else (0, 0)
            began = free.began_at(0 if first else end)
            yield None if began is None else began + self._first_look(now, listable=listable)

    def _due_at(self, watched: Tracked, now: float) -> float:
        return max(watched.not_before, watched.began + self._first_look(now, listable=watched.listable))

    def _first_look(self, now: float, *, listable: bool) -> float:
        """Return the age at which a prediction is asked for by itself."""
        return self._run_times.first_look() + (self._grace_time(now) if listable else 0.0)

    def _grace_time(self, now: float) -> float:
        """Return how long to wait for others to end, that they may be looked up in one list."""
        return self._list_gap(now) if len(self._tracked) >= MANY and now >= self._rest_end else 0.0

    def _overdue_age(self) -> float:
        return min(2 * self._run_times.maximum + OVERDUE, LONGEST_FIRST_LOOK)

    def _list_gap(self, now: float) -> float:
        oldest = next(iter(self._tracked.values()), None)
        age = 0.0 if oldest is None else now - oldest.began
        return self._run_times.round_gap(len(self._tracked), age)

    def _count_probes(self, now: float) -> int:
        return max(0, PROBES - self._busy) if now >= self._probe_from else 0
