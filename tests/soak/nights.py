"""Simulated nights, as many as there is time for, and one of ten thousand rows and eight hours."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.nights.drawn import long_night, schedules
from tests.nights.night import play
from tests.nights.world import memory
from tests.soak.table import Line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.nights.night import Report
    from tests.nights.schedule import Schedule

MOST = 100_000
"""Nights drawn at most; time ends it before."""


def drawn_nights(seed_: int, *, minutes: float) -> Line:
    """Play nights that are drawn from *seed_* for so many *minutes*."""
    until = time.monotonic() + 60 * minutes
    reports: list[Report] = []

    @seed(seed_)
    @settings(
        max_examples=MOST,
        deadline=None,
        database=None,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )
    @given(schedules())
    def draw(schedule: Schedule) -> None:
        if time.monotonic() > until:
            raise _Over
        reports.append(_played(schedule))

    try:
        draw()
    except _Over:
        pass
    return _line("drawn", reports)


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
