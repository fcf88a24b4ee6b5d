"""Which pauses are told, and how often."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from batchfill.errors import Held, Throttled
from batchfill.run.pause_report import PauseReport
from batchfill.settings.timings import DEFAULT

ERROR = Throttled("the service answered 429 to the create call")


class Told:
    """A context whose clock is set by hand, and what was told."""

    def __init__(self) -> None:
        self.now = 1_000_000.0
        self.lines: list[str] = []
        self.timings = DEFAULT
        self.clock = SimpleNamespace(now=lambda: self.now)
        self.log = SimpleNamespace(notice=lambda text, _weight: self.lines.append(text))


@pytest.fixture
def told() -> Told:
    """What a person reads."""
    return Told()


@pytest.fixture
def report(told: Any) -> PauseReport:
    """A report to that person."""
    return PauseReport(told.log, told.clock, told.timings, "nothing is submitted")


def test_a_pause_of_a_minute_is_not_told(told: Told, report: PauseReport) -> None:
    report.add_pause(ERROR, 60)
    assert told.lines == []


def test_a_longer_one_is_told_once_with_its_end(told: Told, report: PauseReport) -> None:
    for _ in range(8):
        report.add_pause(ERROR, 61)
    (line,) = told.lines
    assert line.startswith("the service answered 429 to the create call; nothing is submitted until ")


def test_what_is_away_is_told_at_once_and_then_as_rarely_as_others(told: Told, report: PauseReport) -> None:
    for _ in range(600):
        report.add_pause(Held("no container is ready"), 6)
        told.now += 6
        assert told.lines
    assert 3 <= len(told.lines) <= 8


def test_short_ones_in_a_row_are_told_ever_more_rarely(told: Told, report: PauseReport) -> None:
    for _ in range(600):
        report.add_pause(ERROR, 6)
        told.now += 6
    assert 3 <= len(told.lines) <= 8


def test_short_ones_between_accepted_rows_are_not_told(told: Told, report: PauseReport) -> None:
    for _ in range(600):
        report.add_pause(ERROR, 6)
        report.end()
        told.now += 6
    assert told.lines == []
