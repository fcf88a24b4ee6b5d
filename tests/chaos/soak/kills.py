"""Runs killed at random moments, in every setting: what they paid, lost, leaked and left in doubt."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from dataclasses import dataclass
from random import Random
from statistics import fmean
from typing import TYPE_CHECKING

from tests.chaos.soak.night import Night
from tests.chaos.soak.processes import Hung
from tests.chaos.soak.table import Line

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from tests.chaos.soak.night import Deaths
    from tests.chaos.soak.settings import Setting
    from tests.support.judge import Verdict

KILLS_A_NIGHT = 24
ALL = "all"


@dataclass(frozen=True, slots=True)
class Lived:
    """One night: what its kills found, and its verdict; None when it never came to its end."""

    deaths: Deaths
    verdict: Verdict | None


def kill_runs(
    settings: Sequence[Setting], folder: Path, *, token: str, seed: int, kills: int, minutes: float
) -> dict[str, list[Lived]]:
    """Return the nights of each setting, by its name; the settings share the *kills* and go side by side.

    After so many *minutes* no further night begins, however many kills are left.
    """
    share = -(-kills // len(settings))
    until = time.monotonic() + 60 * minutes

    async def side_by_side() -> list[list[Lived]]:
        return await asyncio.gather(
            *(_nights(s, folder / s.name, token, seed, share, until) for s in settings)
        )

    names = [setting.name for setting in settings]
    return dict(zip(names, asyncio.run(side_by_side()), strict=True))


def promises(found: Mapping[str, Sequence[Lived]]) -> list[Line]:
    """Return what became of the three promises, a line for each setting and one for all."""
    everything = [night for nights in found.values() for night in nights]
    return [_line(name, nights, _kept(nights)) for name, nights in {**found, ALL: everything}.items()]


def doubts(found: Mapping[str, Sequence[Lived]]) -> list[Line]:
    """Return how many submissions the kills left unanswered, a line for each setting."""
    return [_line(name, nights, _left_open(nights)) for name, nights in found.items()]


async def _nights(
    setting: Setting, folder: Path, token: str, seed: int, kills: int, until: float
) -> list[Lived]:
    """Live through nights until there were so many kills, or the time is over."""
    lived: list[Lived] = []
    while (left := kills - sum(night.deaths.kills for night in lived)) > 0 and time.monotonic() < until:
        place = folder / str(len(lived))
        place.mkdir(parents=True)
        chance = Random(f"{seed} {setting.name} {len(lived)}")
        lived.append(await _live(Night(setting, place, token, chance), min(left, KILLS_A_NIGHT)))
    return lived


async def _live(night: Night, kills: int) -> Lived:
    try:
        return Lived(night.deaths, await night.live(kills))
    except Hung as error:
        night.deaths.trouble.append(str(error))
        return Lived(night.deaths, None)


def _line(name: str, lived: Sequence[Lived], figures: dict[str, str | int]) -> Line:
    return Line(name, figures, tuple(_broken(lived)))


def _left_open(lived: Sequence[Lived]) -> dict[str, str | int]:
    unanswered = _unanswered(lived)
    spread = sorted(Counter(unanswered).items())
    return {
        "kills": len(unanswered),
        "mean": f"{fmean(unanswered or [0]):.2f}",
        "most": max(unanswered, default=0),
        "rows: kills that left so many": ", ".join(f"{rows}: {kills}" for rows, kills in spread),
    }


def _kept(lived: Sequence[Lived]) -> dict[str, str | int]:
    deaths = [night.deaths for night in lived]
    verdicts = [night.verdict for night in lived if night.verdict]
    unanswered = _unanswered(lived)
    return {
        "batches": len(lived),
        "kills": sum(death.kills for death in deaths),
        "of the provider": sum(death.provider_kills for death in deaths),
        "restarts": sum(death.restarts for death in deaths),
        "rows": sum(verdict.rows for verdict in verdicts),
        "billed": sum(verdict.billed for verdict in verdicts),
        "paid twice": sum(len(verdict.paid_twice) for verdict in verdicts),
        "lost": sum(len(verdict.lost) for verdict in verdicts),
        "leaks": sum(len(verdict.leaks) for verdict in verdicts),
        "unsound": sum(len(verdict.unsound) for verdict in verdicts) + sum(len(d.trouble) for d in deaths),
        "unanswered a kill": f"{fmean(unanswered or [0]):.2f}, at most {max(unanswered, default=0)}",
        "in doubt": sum(verdict.in_doubt for verdict in verdicts),
    }


def _unanswered(lived: Sequence[Lived]) -> list[int]:
    return [rows for night in lived for rows in night.deaths.unanswered]


def _broken(lived: Sequence[Lived]) -> Iterator[str]:
    for night in lived:
        yield from night.deaths.trouble
        if night.verdict is not None:
            yield from night.verdict.broken
