"""How the night went, by tables."""

from __future__ import annotations

from typing import Any

import pytest

from batchfill.domain.reports import EndedAttempt
from batchfill.domain.rows import Outcome
from batchfill.review.statistics import MOST_BARS, MOST_STEPS, make_timeline, run_times, working_time


def ended(at: float, outcome: Outcome = Outcome.SUCCEEDED, **changes: Any) -> EndedAttempt:
    return EndedAttempt(at - 1, at, outcome, 40_000, 1.0)._replace(**changes)


def test_each_step_counts_what_ended_in_it_and_money_adds_up() -> None:
    history = [
        ended(101),
        ended(101.5),
        ended(102.2, Outcome.FAILED),
        ended(103),
        ended(103, Outcome.CANCELED),
    ]
    found = make_timeline(history)
    assert found is not None
    assert (found.begun_at, found.step) == (100, 1)
    assert found.done == (0, 2, 0, 1)
    assert found.failed == (0, 0, 1, 1)
    assert found.spent == (0, 80_000, 80_000, 160_000)


@pytest.mark.parametrize("seconds", [0.5, 59, 60, 61, 3600, 30_000, 86_400 * 3, 86_400 * 4000])
def test_a_night_of_any_length_has_few_steps(seconds: float) -> None:
    found = make_timeline([ended(1), ended(1 + seconds)])
    assert found is not None
    assert len(found.done) <= MOST_STEPS
    assert sum(found.done) == 2


def test_a_clock_that_was_put_back_loses_nothing() -> None:
    found = make_timeline([ended(500), ended(20)])
    assert found is not None
    assert (sum(found.done), found.spent[-1]) == (2, 80_000)


def test_what_has_no_price_counts_as_nothing_spent() -> None:
    found = make_timeline([ended(1, price=None)])
    assert found is not None
    assert found.spent[-1] == 0


def test_nothing_has_no_course() -> None:
    assert make_timeline([]) is None
    assert run_times([ended(1, Outcome.FAILED), ended(2, run_time=None)]) is None
    assert working_time([]) == 0


def test_one_slow_run_does_not_press_the_others_together() -> None:
    history = [ended(n, run_time=1 + n / 1000) for n in range(1, 1000)] + [ended(1000, run_time=500.0)]
    found = run_times(history)
    assert found is not None
    assert found.step * len(found.counts) < 3
    assert (sum(found.counts), found.counts[-1] > 0) == (1000, True)
    assert len(found.counts) <= MOST_BARS
    assert found.median == pytest.approx(1.5, abs=0.01)
    assert found.slow == pytest.approx(1.95, abs=0.01)


def test_runs_that_took_no_time_are_counted() -> None:
    found = run_times([ended(1, run_time=0.0)])
    assert found is not None
    assert found.counts == (1,)


def test_pauses_are_no_working_time() -> None:
    evening, morning = [ended(at) for at in (10, 20, 400)], [ended(at) for at in (30_000, 30_100)]
    assert working_time([*evening, *morning]) == (400 - 9) + (30_100 - 29_999)
