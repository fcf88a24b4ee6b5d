"""One batch, killed again and again until it is done."""

from __future__ import annotations

import asyncio
import csv
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from PIL import Image, ImageDraw

from tests.chaos.soak.processes import Processes
from tests.support import ledgers
from tests.support.judge import judge

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from random import Random

    from tests.chaos.soak.processes import Life
    from tests.chaos.soak.settings import Setting
    from tests.support.judge import Verdict

PLANS = Path(__file__).parent / "plans"
PLAN = "plan.yaml"
LEDGER = "night.batch/ledger.sqlite"

DONE, LEFT_SOME, NOTHING_DONE, STOPPED = 0, 1, 2, 3
"""Exit codes of a run."""

DOWN = "does not answer"
"""What a run says that finds the provider dead when it starts."""

EARLY = 0.15
"""Share of the kills that come while a run starts: it reads, locks, recovers."""

LONGEST_START = 1.0
"""Seconds until a run that is to die early is killed."""

MORE_LOOKS = 6
"""Runs that may follow the last kill: each looks again for what is in doubt."""

PROVIDER_LIVES = (2.0, 8.0)
"""Seconds from one death of a mortal provider to the next."""


@dataclass(slots=True)
class Deaths:
    """What the kills found."""

    kills: int = 0
    provider_kills: int = 0
    restarts: int = 0
    unanswered: list[int] = field(default_factory=list)
    """Rows whose submission had no recorded answer, a kill."""
    trouble: list[str] = field(default_factory=list)
    """Runs that ended as no run should."""


class Night:
    """A batch at a provider of its own, both in processes of their own."""

    def __init__(self, setting: Setting, folder: Path, token: str, chance: Random) -> None:
        self._setting = setting
        self._folder = folder
        self._token = token
        self._chance = chance
        self._processes = Processes(folder, token)
        self._base = ""
        self._port = 0
        self.deaths = Deaths()

    async def live(self, kills: int) -> Verdict:
        """Kill the batch's runs *kills* times at random moments, let it finish, and judge it."""
        _write_manifest(self._folder, self._setting.rows)
        plan = (PLANS / self._setting.plan).read_text("utf-8")
        (self._folder / PLAN).write_text(f"seed: {self._chance.getrandbits(32)}\n{plan}", "utf-8")
        try:
            async with self._served(kills):
                await self._run_until_done(kills)
        finally:
            await self._processes.stop()
        return judge(self._folder, self._folder / "night.batch", self._token)

    async def _run_until_done(self, kills: int) -> None:
        more_looks = MORE_LOOKS
        while more_looks:
            life = await self._start_run()
            if self.deaths.kills < kills and await self._dies(life):
                continue
            code = await life.ended()
            if code == DONE or (code == LEFT_SOME and not self._setting.has_list):
                return
            if code == NOTHING_DONE and DOWN in life.said():
                continue
            more_looks -= 1
            if code not in (LEFT_SOME, STOPPED):
                self.deaths.trouble.append(f"a run ended with {code}: {life.said()[-2000:]}")

    async def _start_run(self) -> Life:
        setting = self._setting
        self.deaths.restarts += 1
        waits = ("--recover-wait", "2", "--answer-timeout", "2")
        bounds = ("--concurrency", str(setting.concurrency), "--rate", str(setting.rate))
        return await self._processes.start(
            "batchfill", "run", "night.csv", "--base-url", self._base, *waits, *bounds
        )

    async def _dies(self, life: Life) -> bool:
        """Kill a run at a random moment; False when it has ended by itself before."""
        began = time.time()
        if self._chance.random() < EARLY:
            await life.wait(self._chance.uniform(0, LONGEST_START))
        else:
            await life.says("rows for")
            await life.wait(self._chance.uniform(0, self._setting.life))
        if life.over or not await life.kill():
            return False
        self._note_death(began)
        return True

    def _note_death(self, since: float) -> None:
        self.deaths.kills += 1
        self.deaths.unanswered.append(ledgers.unanswered(self._folder / LEDGER, since))

    @asynccontextmanager
    async def _served(self, kills: int) -> AsyncIterator[None]:
        """Have the provider running; if it is mortal, it dies now and then as long as runs do."""
        provider = await self._start_provider()
        killing = asyncio.create_task(self._kill_provider(provider, kills)) if self._setting.mortal else None
        try:
            yield
        finally:
            if killing is not None:
                killing.cancel()

    async def _kill_provider(self, provider: Life, kills: int) -> None:
        while self.deaths.kills < kills:
            await provider.wait(self._chance.uniform(*PROVIDER_LIVES))
            self.deaths.provider_kills += await provider.kill()
            provider = await self._start_provider()

    async def _start_provider(self) -> Life:
        at = ("--port", str(self._port), "--folder", "provider", "--token", self._token)
        told = ("--faults", PLAN, "--latency", str(self._setting.latency))
        provider = await self._processes.start("batchfill", "serve", *at, *told)
        await provider.says("Ctrl-C ends it")
        self._base = provider.said().splitlines()[0].split()[-1]
        self._port = urlsplit(self._base).port or 0
        return provider


def _write_manifest(folder: Path, rows: int) -> None:
    """Write a manifest of one small picture, with a prompt of its own for each row."""
    for name, background, patch in (("a.png", 90, 200), ("mask.png", 0, 255)):
        image = Image.new("L", (64, 48), background)
        ImageDraw.Draw(image).rectangle((16, 12, 48, 36), fill=patch)
        image.save(folder / name)
    with (folder / "night.csv").open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        # Of the input's own size, so that it is not the provider's painting that takes the time.
        writer.writerow(["id", "image", "mask", "megapixels", "prompt"])
        writer.writerows([f"r{n}", "a.png", "mask.png", "match_input", f"picture {n}"] for n in range(rows))
