from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchfill.run.run_times import RunTimes
from batchfill.settings.timings import DEFAULT

seconds = st.floats(0, 86_400, allow_nan=False)


def test_before_any_has_ended_it_looks_soon() -> None:
    timing = RunTimes()
    assert timing.expected is None
    assert timing.first_look() == 1.0
    assert timing.maximum == 60.0


def test_one_that_ended_is_what_is_expected() -> None:
    timing = RunTimes()
    timing.add_run_time(12.0)
    assert timing.expected == 12.0
    assert timing.maximum == 12.0


def test_three_in_four_have_ended_at_the_first_look() -> None:
    timing = RunTimes([8.0, 9.0, 10.0, 11.0, 12.0])
    assert timing.expected == 11.0
    assert 11.0 < timing.first_look() < 11.5


def test_only_the_last_ones_count() -> None:
    timing = RunTimes([100.0, 10.0, 10.0], keep=3)
    assert timing.maximum == 100.0
    timing.add_run_time(10.0)
    assert timing.maximum == 10.0


def test_looks_come_at_growing_intervals() -> None:
    timing = RunTimes([10.0] * 4)
    gaps = [timing.next_look(asked) for asked in range(1, 6)]
    assert gaps == pytest.approx([1.0, 1.5, 2.25, 3.375, 5.0625])
    assert timing.next_look(100) == DEFAULT.longest_poll_gap


def test_what_ends_at_once_is_not_asked_for_without_a_pause() -> None:
    timing = RunTimes([0.0] * 4)
    assert timing.first_look() > 0
    assert timing.next_look(1) == 0.1


@given(st.lists(seconds), st.integers(1, 10_000))
def test_every_wait_can_be_waited_for(known: list[float], asked: int) -> None:
    timing = RunTimes(known)
    assert 0 < timing.next_look(asked) <= DEFAULT.longest_poll_gap
    assert 0 < timing.first_look() < 100_000
    assert timing.expected is None or timing.expected <= timing.maximum
