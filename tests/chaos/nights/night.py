"""Plays one night: a user who starts the run, a program that dies, a network that breaks, and a judge."""

from __future__ import annotations

import asyncio
import csv
import random
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from batchfill.batch import Batch
from batchfill.domain.rows import RowState
from batchfill.emulator.faults.rules import Fault, Faults
from batchfill.emulator.quirks import OFFERS, Quirks
from batchfill.errors import UsageError
from tests.chaos.nights.judge import Judge
from tests.chaos.nights.loop import SimLoop
from tests.chaos.nights.schedule import HOUR
from tests.chaos.nights.world import EPOCH, Near, World

if TYPE_CHECKING:
    from pathlib import Path

    from batchfill.domain.reports import Summary
    from tests.chaos.nights.schedule import Schedule

TOKEN = "r8_never_to_be_seen"
PRICE = "0.04"
PAUSE = 300.0
"""Seconds until the user starts again a run that ended with work left."""

LONGEST = 48 * HOUR
"""After so long a run that has not ended hangs."""

WORK_LEFT = 3


@dataclass
class Report:
    """What a night came to."""

    schedule: Schedule
    rows: int = 0
    billed: int = 0
    starts: int = 0
    deaths: int = 0
    hours: float = 0.0
    refused: int = 0
    """Creates answered with 429."""
    stopped: str | None = None
    """Why the last run ended early."""
    states: dict[str, int] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)
    """Promises that were broken, in words."""


def play(schedule: Schedule, folder: Path) -> Report:
    """Play *schedule* in an empty *folder*, in virtual time."""
    with asyncio.Runner(loop_factory=SimLoop) as runner:
        return runner.run(_Night(schedule, folder).play())


class _Night:
    def __init__(self, schedule: Schedule, folder: Path) -> None:
        self.schedule = schedule
        self.world = World(folder, schedule.seed)
        self.desk = _Desk(folder, schedule)
        self.report = Report(schedule)

    async def play(self) -> Report:
        schedule, world = self.schedule, self.world
        provider = Near(
            world,
            world.folder / "provider",
            token=TOKEN,
            latency=schedule.run_time,
            faults=_faults(schedule),
            quirks=Quirks(
                offers=OFFERS if schedule.offers_list else OFFERS - {"list"},
                dialect=replace(schedule.dialect, keys="honoured" if schedule.keys else "ignored"),
            ),
        )
        await provider.start()
        world.network.relay = schedule.relay
        world.network.damage = schedule.damage
        self.judge = judge = Judge(world, provider, schedule, self.report.broken)
        self._set_timers(provider)
        summary = None
        with world.entered(), suppress(TimeoutError):
            async with asyncio.timeout(LONGEST):
                summary = await self._nights_runs(provider.base)
                if schedule.consents:
                    judge.consented()
                    world.spare()
                    summary = await self._run(provider.base, retry="failed,expired,in-doubt") or summary
        self.report.hours = asyncio.get_running_loop().time() / 3600
        # What the service takes late is made before the night is judged.
        await asyncio.sleep(PAUSE)
        judge.close(summary, self._batch(provider.base), TOKEN)
        await provider.stop()
        self._sum_up(provider, judge, summary)
        return self.report

    async def _nights_runs(self, base: str) -> Summary | None:
        """Start it again until everything is done, or the user has had enough."""
        deaths, edits = list(self.schedule.deaths), list(self.schedule.edits)
        summary = None
        for _ in range(self.schedule.starts + len(deaths)):
            if self.report.starts and edits:
                self.desk.edit(edits.pop(0))
            death = deaths.pop(0) if deaths else None
            if death:
                self.world.kill(EPOCH + death.at, death.effects)
            summary = await self._run(base)
            if self.world.dead:
                self.report.deaths += 1
                await asyncio.sleep(death.away if death else PAUSE)
            elif (
                summary is None
                or (summary.exit_code == WORK_LEFT and self._goes_on(summary))
                or self._resends(summary)
            ):
                await asyncio.sleep(PAUSE)
            elif not edits:
                break
        return summary

    def _goes_on(self, summary: Summary) -> bool:
        """Whether another start may bring more."""
        stopped = summary.stopped_because == "stopped by the user"
        moved = bool(stopped or summary.submitted_now or summary.finished_now)
        return self.schedule.until is None and (moved or self._resends(summary))

    def _resends(self, summary: Summary) -> bool:
        """Whether another start sends rows in doubt again."""
        return self.schedule.keys and summary.counts[RowState.IN_DOUBT] > 0

    async def _run(self, base: str, **flags: Any) -> Summary | None:
        """Run once; None when it died, or could not begin."""
        world, self.report.starts = self.world, self.report.starts + 1
        world.begin()
        self.judge.begun()
        try:
            return await self._batch(base, **flags).run()
        except UsageError:
            return None  # the network is down
        except BaseException:
            if not world.dead:
                raise
            return None
        finally:
            world.end()

    def _batch(self, base: str, **flags: Any) -> Batch:
        schedule = self.schedule
        flags |= {"concurrency": schedule.concurrency, "rate": schedule.rate}
        flags |= {"recover_wait": schedule.recover_wait, "idempotent": schedule.keys or None}
        if schedule.max_cost is not None:
            flags["max_cost"] = str(schedule.max_cost * float(PRICE))
        if schedule.until is not None:
            flags["until"] = datetime.fromtimestamp(EPOCH + schedule.until).strftime("%H:%M")
        return Batch.open(self.desk.manifest, environ={"BATCHFILL_TOKEN": TOKEN}, base_url=base, **flags)

    def _set_timers(self, provider: Near) -> None:
        loop, network = asyncio.get_running_loop(), self.world.network
        for outage in self.schedule.outages:
            network.outages.append((EPOCH + outage.at, EPOCH + outage.at + outage.lasts))
            loop.call_at(outage.at, network.cut)
        for at in self.schedule.stops:
            loop.call_at(at, lambda: self._batch(provider.base).stop())
        for at, pace in self.schedule.allowed:
            loop.call_at(at, provider.allow, pace)

    def _sum_up(self, provider: Near, judge: Judge, summary: Summary | None) -> None:
        report = self.report
        report.rows = len(self.desk.rows)
        report.billed = provider.billed
        report.refused = judge.refused
        if summary is not None:
            report.stopped = summary.stopped_because
            report.states = {state.value: count for state, count in summary.counts.items() if count}


class _Desk:
    """The user's folder, with a manifest that is edited now and then."""

    def __init__(self, folder: Path, schedule: Schedule) -> None:
        self._folder = folder
        self._schedule = schedule
        self._chance = random.Random(schedule.seed + 1)
        self._made = 0
        self.manifest = folder / "night.yaml"
        self.manifest.write_text(f"price: {PRICE}\nrows: night.csv\n")
        self.rows = [self._row() for _ in range(schedule.rows)]
        self._write()

    def edit(self, seed: int) -> None:
        """Take rows out, add rows, change prompts, rename and reorder."""
        chance = random.Random(seed)
        some = max(1, len(self.rows) // 10)
        for _ in range(chance.randrange(some + 1)):
            self.rows.pop(chance.randrange(len(self.rows)))
        self.rows += [self._row() for _ in range(chance.randrange(some + 1) + 1)]
        for row in chance.sample(self.rows, min(len(self.rows), chance.randrange(some + 1))):
            row["prompt"] += ", changed"
        for row in chance.sample(self.rows, min(len(self.rows), chance.randrange(some + 1))):
            row["id"] += "-renamed"
        chance.shuffle(self.rows)
        self._write()

    def _row(self) -> dict[str, str]:
        self._made += 1
        n, chance = self._made, self._chance
        return {
            "id": f"r{n}",
            "image": f"https://example.com/{n}.png",
            "mask": "https://example.com/mask.png",
            # The same for several rows: a prompt alone does not tell whose prediction it is.
            "prompt": f"picture {n % 7}",
            "seed": str(1 + n % 5) if chance.random() < self._schedule.own_seeds else "",
            "num_outputs": "2" if chance.random() < self._schedule.two_outputs else "",
        }

    def _write(self) -> None:
        with (self._folder / "night.csv").open("w", encoding="utf-8", newline="") as stream:
            writer = csv.DictWriter(stream, list(self.rows[0]))
            writer.writeheader()
            writer.writerows(self.rows)


def _faults(schedule: Schedule) -> Faults:
    rules = [
        Fault(t.call, t.kind, probability=t.probability, options=dict(t.options)) for t in schedule.troubles
    ]
    return Faults(rules, seed=schedule.seed, clock_skew=schedule.skew)
