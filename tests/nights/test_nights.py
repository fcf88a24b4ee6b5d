"""Whole nights in virtual time: whatever comes together in one, the promises hold."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings

from batchfill.local import read_bill
from tests.nights.drawn import schedules
from tests.nights.night import play
from tests.nights.schedule import HOUR, Death, Outage, Schedule, Trouble
from tests.nights.world import memory

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.nights.night import Report

NIGHTS = 20


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=memory()) as name:
        yield Path(name)


def played(schedule: Schedule) -> Report:
    with tempfile.TemporaryDirectory(dir=memory()) as name:
        return play(schedule, Path(name))


@settings(
    max_examples=NIGHTS,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
@given(schedules())
def test_no_night_breaks_a_promise(schedule: Schedule) -> None:
    assert played(schedule).broken == []


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


def test_a_seed_decides_everything_that_happens(folder: Path) -> None:
    first, second = folder / "1", folder / "2"
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
