"""Whole nights in virtual time: whatever comes together in one, the promises hold."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings

from batchfill.emulator.journal import read_bill
from batchfill.run.submit.admission import MOST_LOST
from tests.chaos.nights.drawn import clock_nights, damaged_nights, dressed_nights, keyed_nights, schedules
from tests.chaos.nights.night import play
from tests.chaos.nights.relay import Relay
from tests.chaos.nights.schedule import HOUR, Death, Outage, Schedule, Trouble
from tests.support.memory import memory

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.chaos.nights.night import Report

NIGHTS = 20
CLOCK_NIGHTS = 50
DRESSED_NIGHTS = 30
KEYED_NIGHTS = 20
MOST_ROWS = 12
"""Of a night; `make soak` has longer ones. A promise that is broken at all is broken in a few rows."""


@pytest.fixture
def in_memory() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=memory()) as name:
        yield Path(name)


def played(schedule: Schedule) -> Report:
    with tempfile.TemporaryDirectory(dir=memory()) as name:
        return play(schedule, Path(name))


def drawn(nights: int) -> settings:
    """Return what draws so many nights, the same ones each time."""
    return settings(
        max_examples=nights,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )


@drawn(NIGHTS)
@given(schedules(MOST_ROWS))
def test_no_night_breaks_a_promise(schedule: Schedule) -> None:
    assert played(schedule).broken == []


@drawn(CLOCK_NIGHTS)
@given(clock_nights(MOST_ROWS))
def test_no_clock_and_no_list_has_a_row_paid_twice(schedule: Schedule) -> None:
    assert played(schedule).broken == []


@drawn(DRESSED_NIGHTS)
@given(dressed_nights())
def test_right_answers_in_any_manner_have_every_row_done_and_billed_once(schedule: Schedule) -> None:
    report = played(schedule)
    assert report.broken == []
    assert (report.states, report.billed) == ({"done": schedule.rows}, schedule.rows)


@drawn(KEYED_NIGHTS)
@given(keyed_nights(MOST_ROWS))
def test_where_keys_are_honoured_every_lost_answer_is_made_good_and_billed_once(schedule: Schedule) -> None:
    report = played(schedule)
    assert report.broken == []
    assert (report.states, report.billed) == ({"done": schedule.rows}, schedule.rows)


@drawn(DRESSED_NIGHTS)
@given(damaged_nights())
def test_no_damage_to_answers_has_a_row_paid_twice_or_a_run_hang(schedule: Schedule) -> None:
    assert played(schedule).broken == []


def test_answers_that_are_always_lost_end_the_night_after_a_few() -> None:
    lost = Trouble("create", "status", 1.0, (("status", 504), ("late", True)))
    report = played(Schedule(rows=40, run_time=1.0, troubles=(lost,), offers_list=False, starts=1))
    assert report.broken == []
    assert (report.billed, report.states) == (MOST_LOST, {"in_doubt": MOST_LOST, "pending": 40 - MOST_LOST})
    assert report.stopped is not None
    assert "in a row were lost" in report.stopped


def test_an_outage_that_takes_answers_with_it_does_not_end_the_night() -> None:
    outages = tuple(Outage(20.0 + 100 * n, 40.0) for n in range(8))
    report = played(Schedule(rows=120, rate=60.0, run_time=5.0, outages=outages, starts=1))
    assert (report.broken, report.states) == ([], {"done": 120})


def test_consent_covers_a_row_in_doubt_whose_first_prediction_is_made_later() -> None:
    late = Trouble("create", "taken_late", 1.0, (("seconds", 90.0),))
    report = played(
        Schedule(rows=1, run_time=1.0, troubles=(late,), offers_list=False, consents=True, recover_wait=0.0)
    )
    assert report.broken == []
    assert report.billed == 2


WEST = Relay(clock="local", off=-5 * HOUR)
"""A relay west of Greenwich that leaves the zone out of its times."""


@pytest.mark.parametrize("at", [3, 5, 8])
def test_a_relay_that_tells_local_time_has_lost_rows_found_by_their_seeds(at: int) -> None:
    lost = Trouble("create", "reset_after", 0.3)
    report = played(Schedule(rows=24, troubles=(lost,), deaths=(Death(at, 3),), relay=WEST))
    assert report.broken == []
    assert (report.states, report.billed) == ({"done": 24}, 24)


@pytest.mark.parametrize("off", [-5 * HOUR, 5 * HOUR])
def test_times_of_two_hosts_that_are_hours_apart_have_no_picture_looked_for_too_late(off: float) -> None:
    # Lists are in vain, and what the times say of run times would have it wait for them.
    apart = Relay(clock="hosts", lists="strangers", off=off)
    report = played(Schedule(rows=24, concurrency=4, run_time=0.5, relay=apart))
    assert (report.broken, report.states) == ([], {"done": 24})
    assert report.hours < 0.5


LAGS = (37, 40, 60)
"""Tens of seconds, each more than a request's time-out and --recover-wait."""


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("lag", LAGS)
def test_a_list_that_lags_by_more_than_the_wait_has_no_row_paid_twice(lag: int, seed: int) -> None:
    # Whatever was in flight is lost each time, so that nothing is listed, or missed, next to it.
    deaths = (Death(13.5, 34, 1.0), Death(13.5, 21, 30.0), Death(13.5, 34, 1.0))
    lost = Trouble("create", "reset_after", 0.5)
    lagging = Relay(lists="lagging", many=lag)
    report = played(
        Schedule(
            seed=seed,
            rows=16,
            concurrency=4,
            run_time=60.0,
            deaths=deaths,
            troubles=(lost,),
            relay=lagging,
        )
    )
    assert report.broken == []
    assert report.states.keys() == {"done", "in_doubt"}


HARD = Schedule(
    seed=7,
    rows=80,
    deaths=tuple(Death(at, effects, 20.0) for at, effects in ((1, 5), (9, 14), (25, 0), (50, 33), (80, 2))),
    outages=(Outage(120, 60),),
    troubles=(
        Trouble("create", "reset_after", 0.1),
        Trouble("create", "status", 0.1, (("status", 500), ("late", True))),
        Trouble("output", "cut", 0.1),
        Trouble("get", "status", 0.1, (("status", 404),)),
    ),
    edits=(3, 4),
)
"""A night in which much goes wrong."""


def test_a_seed_decides_everything_that_happens(in_memory: Path) -> None:
    first, second = in_memory / "1", in_memory / "2"
    for place in (first, second):
        place.mkdir()
        report = play(HARD, place)
        assert report.deaths == len(HARD.deaths)
    assert (first / "night.batch/run.log").read_text() == (second / "night.batch/run.log").read_text()
    assert read_bill(first / "provider") == read_bill(second / "provider")


def test_deaths_and_lost_answers_are_made_good_where_the_provider_has_a_list() -> None:
    report = played(replace(HARD, edits=()))
    assert report.broken == []
    assert report.deaths == len(HARD.deaths)
    assert report.states == {"done": HARD.rows}
    assert report.billed == HARD.rows


def test_an_hour_without_network_loses_only_what_it_outlasts() -> None:
    report = played(Schedule(rows=60, rate=60.0, run_time=20.0, outages=(Outage(30, HOUR - 60),)))
    assert report.broken == []
    assert report.states == {"done": 60}


def test_no_create_leaves_before_the_time_that_a_refusal_named() -> None:
    stingy = ((0.5, 60.0), (40.0, 20.0))
    report = played(Schedule(rows=60, concurrency=32, rate=6000.0, allowed=stingy, deaths=HARD.deaths[:3]))
    assert report.refused > 0
    assert report.broken == []
    assert report.states == {"done": 60}


def test_the_cap_holds_through_deaths_and_lost_answers() -> None:
    report = played(replace(HARD, offers_list=False, edits=(), max_cost=30))
    assert report.broken == []
    assert report.billed <= 30
