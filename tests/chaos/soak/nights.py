"""Simulated nights, as many as there is time for, and one of ten thousand rows and eight hours."""

from __future__ import annotations

import math
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.chaos.nights.drawn import clock_nights, damaged_nights, dressed_nights, long_night, schedules
from tests.chaos.nights.night import play
from tests.chaos.soak.table import Line
from tests.support.memory import memory

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hypothesis.strategies import SearchStrategy

    from tests.chaos.nights.night import Report
    from tests.chaos.nights.schedule import Schedule

MOST = 100_000
"""Nights drawn at most; time ends it before."""


def drawn_nights(seed_: int, *, minutes: float) -> Line:
    """Play nights that are drawn from *seed_* for so many *minutes*."""
    return _line("drawn", _drawn(schedules(), seed_, most=MOST, minutes=minutes))


def clock_nights_drawn(seed_: int, *, nights: int) -> Line:
    """Play so many *nights* in which no clock and no list can be relied on."""
    return _line("clocks", _drawn(clock_nights(), seed_, most=nights, minutes=math.inf))


def dressed_nights_drawn(seed_: int, *, nights: int) -> Line:
    """Play so many *nights* at gateways with manners of their own, right but for their form."""
    reports = _drawn(dressed_nights(), seed_, most=nights, minutes=math.inf)
    for report in reports:
        rows = report.schedule.rows
        if (report.states, report.billed) != ({"done": rows}, rows):
            report.broken.append(f"{rows} rows came to {report.states} and {report.billed} predictions")
    return _line("dressed", reports)


def damaged_nights_drawn(seed_: int, *, nights: int) -> Line:
    """Play so many *nights* in which answers arrive damaged."""
    return _line("damaged", _drawn(damaged_nights(), seed_, most=nights, minutes=math.inf))


def _drawn(nights: SearchStrategy[Schedule], seed_: int, *, most: int, minutes: float) -> list[Report]:
    until = time.monotonic() + 60 * minutes
    reports: list[Report] = []

    @seed(seed_)
    @settings(
        max_examples=most,
        deadline=None,
        database=None,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )
    @given(nights)
    def draw(schedule: Schedule) -> None:
        if time.monotonic() > until:
            raise _Over
        reports.append(_played(schedule))

    try:
        draw()
    except _Over:
        pass
    return reports


def whole_night(seed_: int, *, rows: int = 10_000) -> Line:
    """Play a night of eight hours."""
    return _line("8 hours", [_played(long_night(seed_, rows))])


class _Over(BaseException):
    """There is no more time."""


def _played(schedule: Schedule) -> Report:
    with tempfile.TemporaryDirectory(dir=memory()) as folder:
        return play(schedule, Path(folder))


def _line(name: str, reports: Sequence[Report]) -> Line:
    broken = tuple(f"{text}: {report.schedule}" for report in reports for text in report.broken)
    figures = {
        "nights": len(reports),
        "hours": round(sum(report.hours for report in reports)),
        "deaths": sum(report.deaths for report in reports),
        "rows": sum(report.rows for report in reports),
        "billed": sum(report.billed for report in reports),
        "in doubt": sum(report.states.get("in_doubt", 0) for report in reports),
        "broken": len(broken),
    }
    return Line(name, figures, broken)
