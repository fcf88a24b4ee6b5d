from __future__ import annotations

import math
import os
import time as system_time
from datetime import datetime, time
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from batchfill.clock import Deadline
from batchfill.run.run_times import RunTimes
from tests.chaos.nights.night import play
from tests.chaos.nights.schedule import Schedule, Trouble

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.skipif(os.name != "posix", reason="Windows takes its zone from the system alone")

VIENNA = ZoneInfo("Europe/Vienna")


@pytest.fixture(autouse=True)
def vienna(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Summer time begins on 2025-03-30 at 02:00 and ends on 2025-10-26 at 03:00."""
    monkeypatch.setenv("TZ", "Europe/Vienna")
    system_time.tzset()
    yield
    monkeypatch.undo()
    system_time.tzset()


def at(text: str, *, fold: int = 0) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=VIENNA, fold=fold).timestamp()


def hours(begun: float, until: str) -> float:
    return Deadline(time.fromisoformat(until), begun).seconds_left(begun, 0.0) / 3600


@pytest.mark.parametrize(
    ("begun", "until", "left"),
    [
        ("2025-07-01T22:00", "07:30", 9.5),
        ("2025-07-01T22:00", "23:00", 1.0),
        ("2025-07-01T07:30", "07:30", 24.0),
        ("2025-07-01T07:29:59", "07:30", 1 / 3600),
        ("2025-12-31T23:00", "00:00", 1.0),
        ("2025-03-29T22:00", "07:00", 8.0),
        ("2025-10-25T22:00", "07:00", 10.0),
    ],
)
def test_the_next_such_time_is_meant_in_summer_and_winter(begun: str, until: str, left: float) -> None:
    assert hours(at(begun), until) == pytest.approx(left)


def test_a_time_that_the_clock_leaps_over_is_the_one_after_the_leap() -> None:
    assert hours(at("2025-03-30T01:00"), "02:30") == pytest.approx(1.5)
    assert hours(at("2025-03-30T01:45"), "02:30") == pytest.approx(0.75)


def test_a_time_that_comes_twice_is_the_next_of_the_two() -> None:
    assert hours(at("2025-10-26T01:00"), "02:30") == pytest.approx(1.5)
    assert hours(at("2025-10-26T02:45"), "02:30") == pytest.approx(0.75)
    assert hours(at("2025-10-26T02:45", fold=1), "02:30") == pytest.approx(23.75)


def test_submitting_ends_early_enough_to_fetch_what_runs() -> None:
    begun = at("2025-07-01T22:00")
    until = Deadline(time(23, 0), begun)
    assert until.seconds_left(begun, 600.0) == pytest.approx(3000.0)
    assert until.seconds_left(begun + 3000.0, 600.0) == pytest.approx(0.0)


@pytest.mark.parametrize(
    ("runs", "fetches", "behind", "seconds"),
    [
        ([], [], 0, 60.0),
        ([10.0, 20.0], [], 100, 20.0),
        ([10.0, 20.0], [3.0], 15, 23.0),
        ([10.0, 20.0], [3.0], 16, 26.0),
        ([10.0, 20.0], [3.0], 64, 35.0),
        ([10.0], [2.0, 2.0, 2.0, 2.0, 30.0], 32, 44.0),
    ],
)
def test_the_last_row_waits_for_those_before_it_to_be_fetched(
    runs: list[float], fetches: list[float], behind: int, seconds: float
) -> None:
    assert RunTimes(runs).time_to_finish(RunTimes(fetches or [0.0]), behind=behind) == pytest.approx(seconds)


def test_where_fetching_is_slow_everything_is_in_place_by_the_time_all_the_same(tmp_path: Path) -> None:
    slow = Trouble("output", "slow", 1.0, (("seconds", 40.0),))
    night = play(
        Schedule(rows=150, concurrency=24, rate=600.0, until=300.0, two_outputs=0.0, troubles=(slow,)),
        tmp_path,
    )
    assert night.states.keys() == {"done", "pending"}
    assert 200.0 < night.hours * 3600 <= 300.0


def test_without_a_time_there_is_always_time_left() -> None:
    assert Deadline(None, 1.0).seconds_left(1.0, 600.0) == math.inf


def test_it_is_called_as_it_was_given() -> None:
    assert str(Deadline(time(7, 5), 1.0)) == "07:05"
    assert str(Deadline(None, 1.0)) == "never"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    begun=st.integers(int(at("2025-01-01T00:00")), int(at("2027-01-01T00:00"))),
    until=st.times().map(lambda t: t.replace(second=0, microsecond=0)),
)
def test_it_lies_ahead_and_within_a_day(begun: int, until: time) -> None:
    left = Deadline(until, float(begun)).seconds_left(float(begun), 0.0)
    assert 0 < left <= 25 * 3600
