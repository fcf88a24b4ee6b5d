from __future__ import annotations

from email.utils import formatdate

import pytest

from batchfill.providers.clock_skew import Moment, ServiceClock

THEIRS = 1_763_850_000


def learn(clock: ServiceClock, *, asked: Moment, answered: Moment) -> None:
    clock.learn_date(formatdate(THEIRS, usegmt=True), asked=asked, answered=answered)


def test_the_difference_is_known_from_the_first_answer_on() -> None:
    clock = ServiceClock()
    assert clock.offset(Moment(THEIRS, 0.0)) is None
    learn(clock, asked=Moment(THEIRS - 60, 0.0), answered=Moment(THEIRS - 59, 1.0))
    assert clock.offset(Moment(THEIRS, 60.0)) == 60.0


@pytest.mark.parametrize("hours", [3, -3])
def test_what_was_learned_before_our_clock_was_set_is_forgotten(hours: int) -> None:
    clock = ServiceClock()
    for second in range(20):
        at = Moment(THEIRS + second, float(second))
        learn(clock, asked=at, answered=at)
    later = Moment(THEIRS + 3600.0 * hours, 21.0)
    assert clock.offset(later) is None
    learn(clock, asked=later, answered=later)
    assert clock.offset(later) == -3600 * hours + 0.5


def test_an_answer_during_which_our_clock_was_set_teaches_nothing() -> None:
    clock = ServiceClock()
    learn(clock, asked=Moment(THEIRS, 0.0), answered=Moment(THEIRS + 10_800, 1.0))
    assert clock.offset(Moment(THEIRS + 10_800, 1.0)) is None


def test_a_clock_that_is_nudged_keeps_what_was_learned() -> None:
    clock = ServiceClock()
    learn(clock, asked=Moment(THEIRS, 0.0), answered=Moment(THEIRS, 0.0))
    assert clock.offset(Moment(THEIRS + 5.0, 1.0)) == 0.5
