"""Walks the edges of a night: at each of them the process dies, or the power fails; then it goes on."""

from __future__ import annotations

import asyncio
import json
import os
import random
import shutil
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from tests.chaos.crashes import judge
from tests.chaos.crashes.disk import Lost
from tests.chaos.crashes.effects import BY_CHANCE, DIED, QUESTIONS, Edge, Step
from tests.chaos.crashes.forks import open_forks
from tests.chaos.crashes.night import ALL, GATEWAY, open_night
from tests.support import ledgers

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from tests.chaos.crashes.forks import Forks
    from tests.chaos.crashes.night import Night

CHILD = "tests.chaos.crashes.child"
AT_ONCE = 4 * (os.cpu_count() or 2)
"""Nights side by side: most of one is waiting."""

POSTED = Edge("Service.create", 3, after=True)
INTENDED = Edge("Service.create", 3)
PLACED = Edge("OutputStore.commit", 1, after=True)
RECOVERING = (POSTED, INTENDED, PLACED)
"""Deaths after which the next start has something to find out."""


class Edited(StrEnum):
    """When the manifest is edited."""

    BEFORE = "after an edit"
    """When the night is done; it dies in the run that follows."""
    AFTER = "then an edit"
    """When it has died."""


class Case(NamedTuple):
    """One night: where it dies, and how."""

    deaths: tuple[Edge, ...]
    """One death a run; then a run that lives."""
    lost: Lost | None = None
    """What the power failure at the last death takes; None: the process died alone."""
    gateway: bool = False
    hour: bool = False
    """Whether the service has removed everything when the batch goes on."""
    edited: Edited | None = None
    """When the user gives two rows each other's ids."""

    def __str__(self) -> str:
        """Say it in a line."""
        more = [f"lost {self.lost.value}"] if self.lost else []
        more += ["at a gateway"] if self.gateway else []
        more += ["an hour later"] if self.hour else []
        more += [self.edited.value] if self.edited else []
        return ", ".join([*map(str, self.deaths), *more])


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one night."""

    case: Case
    reached: bool
    """Whether it came to the edge at all: what happens side by side has no fixed order."""
    broken: tuple[str, ...]
    """Every promise that was broken, in words."""

    def __str__(self) -> str:
        return f"{self.case}: {'; '.join(self.broken) or 'well'}"


def walk_all(folder: Path, *, at_most: int | None = None, seed: int = 0) -> list[Outcome]:
    """Walk every edge there is, or *at_most* so many drawn with *seed*, in an empty *folder*.

    Every effect before and after, at a provider that offers all and at a gateway; deaths while recovering;
    power failures of each kind at each edge beside a record, a file or a flush. Nights that went well leave
    nothing behind.
    """

    async def walk_them() -> list[Outcome]:
        async with open_forks(CHILD) as forks:
            cases = await _all_cases(folder, forks)
            if at_most is not None and at_most < len(cases):
                cases = random.Random(seed).sample(cases, at_most)
            return await walk(folder, forks, cases)

    return asyncio.run(walk_them())


async def walk(folder: Path, forks: Forks, cases: Sequence[Case]) -> list[Outcome]:
    """Let every case have its night below *folder*; the folders of those that went well are removed."""
    room = asyncio.Semaphore(AT_ONCE)

    async def one(number: int, case: Case) -> Outcome:
        async with room:
            return await _outcome(folder / f"{number}", forks, case)

    return await asyncio.gather(*(one(number, case) for number, case in enumerate(cases)))


async def trace(
    folder: Path, forks: Forks, deaths: Iterable[Edge] = (), *, gateway: bool = False
) -> list[Step]:
    """Return what the run that lives does, in a night that has died at *deaths* before."""
    async with open_night(folder, forks, GATEWAY if gateway else ALL) as night:
        for edge in deaths:
            await night.run(edge=edge)
        await night.run(trace=str(folder / "steps.json"))
        steps = json.loads((folder / "steps.json").read_text("utf-8"))
        return [Step(effect, nth, after, tuple(about)) for effect, nth, after, about in steps]


def edges(steps: Iterable[Step], *owners: str) -> list[Edge]:
    """Return the edges of *steps* that can make a difference, only those of *owners* where there are any."""
    found = (step for step in steps if step.effect not in QUESTIONS | BY_CHANCE)
    return [
        Edge(step.effect, step.nth, step.after)
        for step in found
        if not owners or step.effect.partition(".")[0] in owners
    ]


def ends(found: Iterable[Edge]) -> list[Edge]:
    """Return the first edge before each effect, and the last after it."""
    kept: dict[tuple[str, bool], list[Edge]] = {}
    for edge in found:
        kept.setdefault((edge.effect, edge.after), []).append(edge)
    return [same[-1] if after else same[0] for (_, after), same in kept.items()]


async def _outcome(folder: Path, forks: Forks, case: Case) -> Outcome:
    async with open_night(folder, forks, GATEWAY if case.gateway else ALL) as night:
        reached, broken = await _live(night, case)
    if not broken:
        shutil.rmtree(folder)
    return Outcome(case, reached, tuple(broken))


async def _live(night: Night, case: Case) -> tuple[bool, list[str]]:
    """Let a night die as its case says, and go on; return whether it died so, and what is broken."""
    if case.edited is Edited.BEFORE:
        await night.run()
        night.swap_ids()
    for edge in case.deaths[:-1]:
        await night.run(edge=edge)
    last = case.deaths[-1]
    if case.lost is None:
        await night.run(edge=last)
    else:
        await night.lose_power(last, case.lost)
    reached = night.codes[-1] == DIED
    if case.edited is Edited.AFTER:
        night.swap_ids()
    return reached, await _go_on(night, case)


async def _go_on(night: Night, case: Case) -> list[str]:
    if case.hour:
        # A power failure may take what was fetched and not recorded yet.
        before = judge.fetched(night.copy()) if case.lost is None else judge.done(night.copy())
        night.pass_the_hour()
        await night.run()
        return list(judge.judge_expired(night, before))
    died = night.copy()
    await night.run()
    if not case.gateway:
        if not judge.accepted(died) and night.codes[-1] == 1:
            # Nothing of ours was there to prove by it that another is not: now there is.
            await night.run()
        # What had no record before the edit is fetched again, and its first copy set aside.
        aside = "/outputs/earlier/" if case.edited is Edited.AFTER else None
        return [text for text in judge.judge_whole(night) if aside is None or aside not in text]
    unanswered = ledgers.unanswered(died / "ledger.sqlite", since=0)
    return [*judge.judge_doubtful(night, unanswered), *await _consent(night)]


async def _consent(night: Night) -> list[str]:
    """Run on after a night at a gateway: nothing is submitted unasked, and what is in doubt when asked."""
    billed, doubtful = night.provider.billed, night.codes[-1] == 1
    await night.run()
    unasked = night.provider.billed - billed
    if doubtful:
        await night.run(flags={"retry": "in-doubt"})
    ended = night.codes[-1]
    return [
        *([f"{unasked} predictions were made unasked"] if unasked else []),
        *([f"it ended {ended} with consent"] if ended else []),
    ]


async def _all_cases(folder: Path, forks: Forks) -> list[Case]:
    plain = edges(await trace(folder / "plain", forks))
    gateway = edges(await trace(folder / "gateway", forks, gateway=True))
    cases = [Case((edge,)) for edge in plain] + [Case((edge,), gateway=True) for edge in gateway]
    for death in RECOVERING:
        recovering = edges(await trace(folder / f"{death}", forks, [death]))
        cases += [Case((death, edge)) for edge in recovering]
    cases += [Case((edge,), lost) for edge in plain for lost in Lost]
    cases += [Case((edge,), lost, hour=True) for edge in plain for lost in (None, Lost.ALL)]
    return cases
