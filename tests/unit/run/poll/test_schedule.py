from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from batchfill.run.poll.schedule import FEW, GIVEN_UP, OVERDUE, PROBES, REST, UNLEARNED, PollSchedule, Tracked
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
