from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from batchfill.domain.reports import Cost
from batchfill.run.progress_meter import ProgressMeter, Stopwatch
from tests.support.reports import counts_of

if TYPE_CHECKING:
    from batchfill.domain.progress import Progress


def test_time_counts_as_lost_from_the_first_wait_to_its_end() -> None:
    lost = Stopwatch()
    lost.note(waits=False, now=1.0)
    assert lost.total(2.0) == 0.0
    for now in (3.0, 4.0):
        lost.note(waits=True, now=now)
    lost.note(waits=False, now=6.0)
    lost.note(waits=False, now=9.0)
    assert lost.total(10.0) == 3.0


def test_a_wait_that_goes_on_counts_up_to_now() -> None:
    lost = Stopwatch()
    lost.note(waits=True, now=3.0)
    assert lost.total(10.0) == 7.0


def progress(measure: ProgressMeter, now: float, **some: int) -> Progress:
    return measure.make_progress(
        counts_of(**some), {}, Cost(0, 0, 0, None), now=now, waiting_for=None, last_failure=None
    )


def test_a_rate_is_shown_once_it_means_something() -> None:
    measure = ProgressMeter(counts_of(pending=100), 1000.0)
    assert progress(measure, 1004.9, done=10, pending=90).rate is None
    shown = progress(measure, 1010.0, done=20, pending=80)
    assert shown.rate == pytest.approx(120.0)
    assert shown.seconds_left == pytest.approx(40.0)
    assert shown.elapsed == 10.0


def test_rows_that_ended_before_count_neither_for_the_rate_nor_for_this_run() -> None:
    measure = ProgressMeter(counts_of(done=50, failed=10, pending=40), 1000.0)
    shown = progress(measure, 1010.0, done=55, failed=11, expired=1, pending=33)
    assert shown.finished_now == 7
    assert shown.rate == pytest.approx(42.0)


def test_rows_in_doubt_are_not_waited_for() -> None:
    measure = ProgressMeter(counts_of(pending=10), 1000.0)
    shown = progress(measure, 1010.0, done=5, in_doubt=5)
    assert shown.seconds_left == 0.0


def test_the_rate_is_that_of_the_last_minutes() -> None:
    measure = ProgressMeter(counts_of(pending=10_000), 0.0)
    for second in range(600):
        progress(measure, float(second), done=second * 10, pending=10_000 - second * 10)
    for second in range(600, 1000):
        shown = progress(measure, float(second), done=6000 + second - 600, pending=4000 - second + 600)
    assert shown.rate == pytest.approx(60.0, rel=0.05)


def test_when_nothing_ends_there_is_no_rate_and_no_time_left() -> None:
    measure = ProgressMeter(counts_of(pending=10), 0.0)
    shown = progress(measure, 3600.0, pending=10)
    assert (shown.rate, shown.seconds_left, shown.finished_now) == (None, None, 0)


def test_samples_do_not_pile_up_in_a_long_night() -> None:
    measure = ProgressMeter(counts_of(pending=10), 0.0)
    for quarter in range(40_000):
        progress(measure, quarter / 4, pending=10)
    assert len(measure._samples) < 200
