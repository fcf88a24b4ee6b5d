"""What a walk found, as lines of a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.chaos.soak.table import Line

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.chaos.crashes.edges import Case, Outcome


def lines(outcomes: Iterable[Outcome]) -> list[Line]:
    """Return a line for each kind of night: how many there were, how many died as asked, what they broke."""
    kinds: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        kinds.setdefault(_kind(outcome.case), []).append(outcome)
    return [_line(kind, found) for kind, found in kinds.items()]


def _kind(case: Case) -> str:
    if case.lost is None and case.hour:
        return "died, an hour later"
    if case.lost is not None:
        return "power failed, an hour later" if case.hour else f"power failed, {case.lost.value} lost"
    if case.gateway:
        return "died at a gateway"
    return "died while recovering" if len(case.deaths) > 1 else "died"


def _line(kind: str, found: list[Outcome]) -> Line:
    broken = tuple(str(outcome) for outcome in found if outcome.broken)
    figures = {
        "nights": len(found),
        "deaths": sum(outcome.reached for outcome in found),
        "edges": len({outcome.case.deaths for outcome in found if outcome.reached}),
        "broken": len(broken),
    }
    return Line(kind, figures, broken)
