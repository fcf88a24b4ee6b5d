"""Which running predictions to look at now: many in one list, or one by one. Decides, and asks nothing."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from operator import itemgetter
from typing import TYPE_CHECKING

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
"""Seconds beyond twice the longest run after which a prediction is asked for, whatever lists show."""


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


class PollSchedule:
    """Every running prediction of a night, and the next look at each."""

    def __init__(self, run_times: RunTimes) -> None:
        self._run_times = run_times
        self._tracked: dict[int, Tracked] = {}
        """In the order in which they were added: the oldest first, or nearly so."""
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
        self._tracked[watched.attempt.number] = watched

    def find_tracked(self, number: int) -> Tracked | None:
        """Return what is known of an attempt's prediction; None when it has ended."""
        return self._tracked.get(number)

    def forget_tracked(self, number: int) -> Tracked | None:
        """Look no more at an attempt's prediction; return what was known."""
        return self._tracked.pop(number, None)

    def next_batch(self, now: float) -> PollBatch:
        """Return what to ask *now*; it counts as being asked from here on."""
        ripe = self._likely_done(now)
        listed = ripe if not self._listing and now >= self._list_from else []
        if listed:
            self._listing = True
            self._list_from = now + self._list_gap(now)
        asked = [one for at, one in self._find_unlisted(ripe, now) if at <= now]
        if self._run_times.expected is None:
            asked = asked[: self._count_probes(now)]
        for one in asked:
            one.busy = True
        return PollBatch(tuple(listed), tuple(asked))

    def seconds_to_next(self, now: float) -> float | None:
        """Return how long until there is something to ask; None until something else happens."""
        ripe = self._likely_done(now)
        times = [at for at, _ in self._find_unlisted(ripe, now)]
        if self._run_times.expected is None and times:
            times = [max(min(times), self._probe_from)] if self._count_busy() < PROBES else []
        overdue = self._overdue_age()
        times += [one.began + overdue for one in ripe]
        if (at := self._list_at(now)) is not None:
            times.append(at)
        return max(0.0, min(times) - now) if times else None

    def note_running(self, watched: Tracked, now: float, *, at_least: float = 0.0) -> None:
        """It was asked for by itself and has not ended, or there was no answer."""
        watched.busy = False
        watched.asked += 1
        watched.not_before = now + max(at_least, self._run_times.next_look(watched.asked))
        self._probe_from = now + self._run_times.next_look(1)

    def note_list(self, listed: Sequence[Tracked], now: float, *, ended: int) -> None:
        """A list was read, and showed that so many of those *listed* have *ended*."""
        self._listing = False
        unlearned = self._run_times.expected is None
        slow = UNLEARNED if unlearned else self._run_times.maximum
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

    def _likely_done(self, now: float) -> list[Tracked]:
        """Return those that may have ended and that lists show; none where they are too few for a list."""
        if now < self._rest_end:
            return []
        soonest = self._run_times.minimum()
        ripe = [one for one in self._find_listable(now) if one.began + soonest <= now]
        return ripe if len(ripe) >= FEW else []

    def _list_at(self, now: float) -> float | None:
        if self._listing or self._rest_end == inf:
            return None
        ripe = sorted(one.began + self._run_times.minimum() for one in self._find_listable(now))
        if len(ripe) < FEW:
            return None
        return max(self._list_from, self._rest_end, ripe[FEW - 1])

    def _find_listable(self, now: float) -> list[Tracked]:
        overdue = self._overdue_age()
        return [one for one in self._tracked.values() if one.listable and now < one.began + overdue]

    def _find_unlisted(self, ripe: Sequence[Tracked], now: float) -> list[tuple[float, Tracked]]:
        """Return those that no list shows, *ripe* being in one, and when to ask for each, the next one first.

        Without those that are being asked for.
        """
        numbers, first_look, grace = (
            {w.attempt.number for w in ripe},
            self._run_times.first_look(),
            self._grace_time(now),
        )
        free = (w for n, w in self._tracked.items() if n not in numbers and not w.busy)
        due = ((max(w.not_before, w.began + first_look + (grace if w.listable else 0)), w) for w in free)
        return sorted(due, key=itemgetter(0))

    def _grace_time(self, now: float) -> float:
        """Return how long to wait for others to end, that they may be looked up in one list."""
        return self._list_gap(now) if len(self._tracked) >= MANY and now >= self._rest_end else 0.0

    def _overdue_age(self) -> float:
        return 2 * self._run_times.maximum + OVERDUE

    def _list_gap(self, now: float) -> float:
        oldest = next(iter(self._tracked.values()), None)
        age = 0.0 if oldest is None else now - oldest.began
        return self._run_times.round_gap(len(self._tracked), age)

    def _count_busy(self) -> int:
        return sum(one.busy for one in self._tracked.values())

    def _count_probes(self, now: float) -> int:
        return max(0, PROBES - self._count_busy()) if now >= self._probe_from else 0
