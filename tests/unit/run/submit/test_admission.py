from __future__ import annotations

import pytest

from batchfill.run.submit.admission import (
    CREATES_AT_ONCE,
    LONGEST_PAUSE,
    MOST_LOST,
    MOST_UNREAD,
    CircuitBreaker,
    CreateConcurrency,
)
from batchfill.settings.timings import DEFAULT


def test_without_trouble_nothing_waits() -> None:
    assert CircuitBreaker(DEFAULT.first_pause).seconds_to_wait(now=100.0, creates_open=8) == 0.0


def test_after_trouble_everything_pauses() -> None:
    care = CircuitBreaker(DEFAULT.first_pause)
    care.record_failure(100.0)
    assert care.half_open
    assert care.seconds_to_wait(100.0, creates_open=0) == DEFAULT.first_pause
    assert care.seconds_to_wait(104.0, creates_open=0) == 1.0


def test_after_the_pause_rows_go_one_at_a_time() -> None:
    care = CircuitBreaker(DEFAULT.first_pause)
    care.record_failure(100.0)
    assert care.seconds_to_wait(105.0, creates_open=0) == 0.0
    assert care.seconds_to_wait(105.0, creates_open=1) is None


def test_one_that_is_accepted_ends_the_care() -> None:
    care = CircuitBreaker(DEFAULT.first_pause)
    care.record_failure(100.0)
    care.record_success()
    assert not care.half_open
    assert care.seconds_to_wait(100.0, creates_open=8) == 0.0


def test_companions_that_fail_in_the_pause_do_not_prolong_it() -> None:
    care = CircuitBreaker(DEFAULT.first_pause)
    for now in (100.0, 100.1, 104.9):
        care.record_failure(now)
    assert care.seconds_to_wait(105.0, creates_open=0) == 0.0


def test_an_outage_that_lasts_is_asked_less_and_less_often() -> None:
    care, now, pauses = CircuitBreaker(DEFAULT.first_pause), 100.0, []
    for _ in range(6):
        care.record_failure(now)
        pause = care.seconds_to_wait(now, creates_open=0)
        assert pause is not None
        pauses.append(pause)
        now += pause
    assert pauses == [5.0, 10.0, 20.0, 40.0, LONGEST_PAUSE, LONGEST_PAUSE]
    care.record_success()
    care.record_failure(now)
    assert care.seconds_to_wait(now, creates_open=0) == DEFAULT.first_pause


def lose(care: CircuitBreaker, times: int, *, unread: bool = False) -> list[str | None]:
    """Lose so many answers one after the other."""
    return [care.lost(100.0 * n + 1, intended_at=100.0 * n, unread=unread) for n in range(1, times + 1)]


def test_the_fifth_answer_lost_in_a_row_ends_submitting() -> None:
    *before, last = lose(CircuitBreaker(DEFAULT.first_pause), MOST_LOST)
    assert before == [None] * (MOST_LOST - 1)
    assert last is not None
    assert "in a row were lost" in last


def test_the_third_answer_in_a_row_that_cannot_be_read_ends_submitting() -> None:
    *before, last = lose(CircuitBreaker(DEFAULT.first_pause), MOST_UNREAD, unread=True)
    assert before == [None] * (MOST_UNREAD - 1)
    assert last is not None
    assert "cannot be read" in last


def test_a_row_that_is_accepted_begins_the_count_again() -> None:
    care = CircuitBreaker(DEFAULT.first_pause)
    lose(care, MOST_LOST - 1)
    care.record_success()
    assert lose(care, MOST_LOST - 1) == [None] * (MOST_LOST - 1)


def test_what_one_outage_took_together_counts_once() -> None:
    care = CircuitBreaker(DEFAULT.first_pause)
    assert [care.lost(101.0, intended_at=100.0, unread=False) for _ in range(8)] == [None] * 8
    assert lose(care, MOST_LOST - 2) == [None] * (MOST_LOST - 2)


def test_a_service_that_cannot_be_reached_is_waited_for() -> None:
    care = CircuitBreaker(DEFAULT.first_pause)
    for n in range(50):
        care.record_failure(100.0 * n)
    assert lose(care, MOST_LOST - 1) == [None] * (MOST_LOST - 1)


def test_the_first_create_goes_alone() -> None:
    assert CreateConcurrency().limit_for(per_second=100) == 1


@pytest.mark.parametrize(
    ("per_second", "seconds", "open_"),
    [
        (10, 0.005, 2),
        (10, 0.3, 7),
        (2, 0.3, 3),
        (2, 3.0, CREATES_AT_ONCE),
        (100, 0.3, CREATES_AT_ONCE),
        (10, 60.0, CREATES_AT_ONCE),
        (10, -3600.0, 1),  # the clock was set back
    ],
)
def test_as_many_are_open_as_keep_up_with_bunches_and_one_that_begins(
    per_second: float, seconds: float, open_: int
) -> None:
    width = CreateConcurrency()
    width.record_answer(seconds)
    assert width.limit_for(per_second) == open_


def test_slower_answers_are_learned_and_forgotten_again() -> None:
    width = CreateConcurrency()
    width.record_answer(0.1)
    for _ in range(20):
        width.record_answer(0.6)
    assert width.limit_for(per_second=10) == CREATES_AT_ONCE
    for _ in range(20):
        width.record_answer(0.1)
    assert width.limit_for(per_second=10) == 4
