from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from batchfill.run.poll.schedule import (
    FEW,
    GIVEN_UP,
    MANY,
    OVERDUE,
    PROBES,
    REST,
    UNLEARNED,
    PollBatch,
    PollSchedule,
    Tracked,
)
from batchfill.run.run_times import RunTimes

if TYPE_CHECKING:
    from collections.abc import Callable

    Begin = Callable[..., PollSchedule]


@pytest.fixture
def schedule_of(attempt: Callable[..., Any]) -> Begin:
    """Make looks at *count* predictions that began at 0 s and take 10 s, or *known* run times."""

    def make(
        count: int,
        *,
        known: tuple[float, ...] = (10.0,) * 4,
        listable: bool = True,
        timing: RunTimes | None = None,
    ) -> PollSchedule:
        looks = PollSchedule(timing or RunTimes(known))
        for number in range(1, count + 1):
            looks.add_tracked(Tracked(attempt(number=number), began=0.0, listable=listable))
        return looks

    return make


def numbers(watched: tuple[Tracked, ...]) -> list[int]:
    return [one.attempt.number for one in watched]


def test_those_that_may_have_ended_are_looked_up_in_one_list(schedule_of: Begin) -> None:
    looks = schedule_of(FEW)
    assert looks.next_batch(9.9).listed == ()
    assert looks.seconds_to_next(9.9) == pytest.approx(0.1)
    look = looks.next_batch(10.0)
    assert (numbers(look.listed), look.asked) == (list(range(1, FEW + 1)), ())


def test_few_are_asked_for_one_by_one(schedule_of: Begin) -> None:
    looks = schedule_of(FEW - 1)
    assert looks.next_batch(10.0) == looks.next_batch(10.1)
    look = looks.next_batch(10.2)
    assert (look.listed, numbers(look.asked)) == ((), list(range(1, FEW)))
    assert looks.next_batch(10.3).asked == (), "none is asked for twice at once"


def test_one_list_is_read_at_a_time_and_the_next_comes_a_while_after(schedule_of: Begin) -> None:
    looks = schedule_of(100)
    listed = looks.next_batch(10.0).listed
    assert looks.next_batch(10.5).listed == ()
    looks.note_list(listed, 10.5, ended=1)
    assert looks.next_batch(10.6).listed == listed
    looks.note_list(listed, 10.6, ended=1)
    assert 0 < (looks.seconds_to_next(10.6) or 0) < 1
    assert looks.next_batch(10.7).listed == ()


def test_without_a_list_each_is_asked_for_when_it_is_expected_to_have_ended(schedule_of: Begin) -> None:
    looks = schedule_of(100)
    looks.next_batch(10.0)
    looks.not_listed(10.0, never=True)
    assert looks.next_batch(10.1) == looks.next_batch(10.05)
    assert len(looks.next_batch(10.2).asked) == 100


def test_what_no_list_can_show_is_asked_for(schedule_of: Begin) -> None:
    assert len(schedule_of(100, listable=False).next_batch(10.2).asked) == 100


def test_lists_that_show_no_end_rest_and_all_are_asked_for_meanwhile(schedule_of: Begin) -> None:
    looks, now = schedule_of(100), 10.2
    for _ in range(GIVEN_UP):
        now += 1
        look = looks.next_batch(now)
        assert (len(look.listed), look.asked) == (100, ())
        looks.note_list(look.listed, now, ended=0)
    look = looks.next_batch(now)
    assert (look.listed, len(look.asked)) == ((), 100)
    for watched in look.asked:
        looks.note_running(watched, now)
    assert looks.next_batch(now + REST - 1).listed == ()
    # Now they are overdue, and lists have had their chance.
    assert looks.next_batch(now + REST).listed == ()


def test_what_is_overdue_is_asked_for_whatever_lists_show(schedule_of: Begin) -> None:
    looks = schedule_of(FEW)
    listed = looks.next_batch(10.0).listed
    looks.note_list(listed, 10.0, ended=0)
    overdue = 20 + OVERDUE
    assert looks.next_batch(overdue - 0.1).asked == ()
    assert numbers(looks.next_batch(overdue).asked) == list(range(1, FEW + 1))


def test_while_nobody_knows_how_long_a_run_takes_a_few_are_asked_for(schedule_of: Begin) -> None:
    looks = schedule_of(100, known=(), listable=False)
    first = looks.next_batch(1.0).asked
    assert len(first) == PROBES
    assert looks.next_batch(1.0).asked == ()
    for watched in first:
        looks.note_running(watched, 1.1)
    assert looks.next_batch(1.1).asked == ()
    later = looks.next_batch(1.1 + (looks.seconds_to_next(1.1) or 0)).asked
    assert len(later) == PROBES
    assert not set(numbers(first)) & set(numbers(later)), "the others have their turn"


def test_a_first_wave_is_noticed_within_a_tenth_of_its_run_time(schedule_of: Begin) -> None:
    looks, now, lists = schedule_of(100, known=()), 1.0, 0
    while now < 15:
        listed = looks.next_batch(now).listed
        if listed:
            lists += 1
            looks.note_list(listed, now, ended=0)
        wait = looks.seconds_to_next(now)
        assert wait is not None
        assert 0 < wait <= 0.1 * now + 0.01
        now += wait
    assert lists < 35


def test_nothing_to_look_at_is_waited_for(schedule_of: Begin) -> None:
    looks = schedule_of(1)
    assert looks.forget_tracked(1) is not None
    assert looks.forget_tracked(1) is None
    assert looks.seconds_to_next(5.0) is None


def test_lists_that_show_nothing_of_a_first_wave_rest_until_its_first_end(schedule_of: Begin) -> None:
    timing, now = RunTimes(()), UNLEARNED + 1
    looks = schedule_of(12, timing=timing)
    for _ in range(GIVEN_UP):
        now += 10
        looks.note_list(looks.next_batch(now).listed, now, ended=0)
    look = looks.next_batch(now)
    assert (look.listed, len(look.asked)) == ((), PROBES)
    assert looks.next_batch(now + 10).listed == ()
    looks.forget_tracked(look.asked[0].attempt.number)
    timing.add_run_time(now)
    assert len(looks.next_batch(now + 20).listed) > FEW


class LookOfAll:
    """What a look finds by going through every prediction: slow, and easy to be sure of."""

    def __init__(self, times: RunTimes, tracked: list[Tracked], now: float) -> None:
        self._times, self._tracked, self._now = times, tracked, now
        ages = self._times.minimum(), 2 * self._times.maximum + OVERDUE
        ripe = [w for w in tracked if w.listable and w.began + ages[0] <= now < w.began + ages[1]]
        self.ripe = ripe if len(ripe) >= FEW else []

    def due(self, gap: float) -> list[int]:
        """Return what is to be asked for by itself, *gap* being the time between two lists."""
        grace = gap if len(self._tracked) >= MANY else 0.0
        left = [w for w in self._tracked if not w.busy and w not in self.ripe]
        ages = ((w, self._times.first_look() + (grace if w.listable else 0.0)) for w in left)
        return sorted(w.attempt.number for w, age in ages if max(w.not_before, w.began + age) <= self._now)


@given(
    begins=st.lists(st.tuples(st.floats(0, 60), st.booleans()), min_size=1, max_size=60),
    known=st.lists(st.sampled_from([1.0, 9.0, 12.0, 700.0, 2000.0]), min_size=1, max_size=5),
    steps=st.lists(
        st.tuples(st.sampled_from(["ends", "runs on", "is told"]), st.integers(0, 59), st.floats(0.001, 20)),
        max_size=12,
    ),
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_look_finds_what_going_through_all_of_them_would(
    attempt: Callable[..., Any],
    begins: list[tuple[float, bool]],
    known: list[float],
    steps: list[tuple[str, int, float]],
) -> None:
    timing = RunTimes(known)
    looks, now = PollSchedule(timing), 60.0
    tracked = [Tracked(attempt(number=n), began, shown) for n, (began, shown) in enumerate(begins)]
    for watched in tracked:
        looks.add_tracked(watched)
    for what, which, later in [("is told", 0, 0.001), *steps]:
        now += later
        if tracked and what == "ends":
            looks.forget_tracked(tracked.pop(which % len(tracked)).attempt.number)
        elif tracked and what == "runs on" and (watched := tracked[which % len(tracked)]).busy:
            looks.note_running(watched, now)
        all_of_them = LookOfAll(timing, tracked, now)
        oldest = tracked[0].began if tracked else now
        expected = all_of_them.due(timing.round_gap(len(tracked), now - oldest))
        look = looks.next_batch(now)
        assert sorted(numbers(look.asked)) == expected
        assert look.listed in ((), tuple(sorted(all_of_them.ripe, key=lambda w: (w.began, w.attempt.number))))
        looks.note_list(look.listed, now, ended=1)
        wait = looks.seconds_to_next(now)
        assert wait is None or wait > 0 or looks.next_batch(now) != PollBatch()


def test_a_look_costs_the_same_with_thousands_in_flight(attempt: Callable[..., Any]) -> None:
    class Counted(float):
        """A time that counts how often it is looked at."""

        looked = 0

        def __add__(self, other: float) -> Counted:
            Counted.looked += 1
            return Counted(float(self) + other)

    def looked_at(count: int) -> int:
        looks = PollSchedule(RunTimes([10.0] * 4))
        for number in range(count):
            looks.add_tracked(Tracked(attempt(number=number), Counted(number / count), listable=True))
        looks.next_batch(5.0)
        Counted.looked = 0
        looks.next_batch(5.0)
        looks.seconds_to_next(5.0)
        return Counted.looked

    assert looked_at(4096) <= 2 * looked_at(64)
