"""Machines that are lost while they run a mirrored batch: it is taken over, and nothing is paid for twice.

Each night is one batch. Its runs are real processes, each with a batch folder of its own, as on machines of
their own. A run is killed, or it is stopped and goes on once another one has taken its batch over. The bucket
loses some answers.
"""

from __future__ import annotations

import asyncio
import csv
import secrets
import signal
from collections import Counter
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING

from PIL import Image

from batchfill.emulator.emulator_server import EmulatorServer
from batchfill.emulator.journal import Bill, read_bill
from tests.chaos.soak.processes import Hung, Processes
from tests.chaos.soak.side_by_side import share_out, sum_up
from tests.support import ledgers
from tests.support.buckets import BucketServer, Failure
from tests.support.judge import leaks

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.chaos.soak.processes import Life
    from tests.chaos.soak.table import Line

LOSSES = 50
LOSSES_A_NIGHT = 10
AT_ONCE = 3
ROWS_A_LOSS = 4
"""More than a machine makes until it is lost, mostly."""
WORK_LEFT = 3
SETTLES = 1.0
"""Seconds."""
MIRROR = "s3://photos/night/"
TIMES = ("--recover-wait", "1", "--answer-timeout", "3", "--rate", "60000", "--concurrency", "2")


@dataclass(slots=True)
class Machines:
    """One batch, on its way from machine to machine."""

    folder: Path
    chance: Random
    rows: int
    provider: EmulatorServer
    buckets: BucketServer
    processes: Processes
    found: Counter[str] = field(default_factory=Counter)
    """What happened, by its name in the table."""
    broken: list[str] = field(default_factory=list)
    asleep: Life | None = None
    """A run that is stopped, and whose batch is taken over meanwhile."""

    @property
    def machine(self) -> Path:
        """The batch folder of the machine that runs now."""
        return self.folder / f"machine{self.found['losses']}"

    async def start(self) -> Life:
        """Start a run on the next machine."""
        flags = ["--take-over"] if self.found["losses"] else []
        base = ("--base-url", self.provider.base, "--mirror", MIRROR, "--out", str(self.machine))
        return await self.processes.start("batchfill", "run", "night.csv", *base, *TIMES, *flags)


def taken_over(seed: int, folder: Path, *, losses: int = LOSSES) -> list[Line]:
    """Lose so many machines below an empty *folder*, drawn from *seed*; return what came of it."""
    nights = share_out(_live, seed, folder, deeds=losses, each=LOSSES_A_NIGHT, at_once=AT_ONCE)
    ends = ("rows", "billed", "paid twice", "lost", "late creates")
    return [sum_up("machines", nights, ("losses", "of them asleep", "answers lost", *ends))]


async def _live(folder: Path, losses: int, seed: str) -> Machines:
    token, chance = f"r8_{secrets.token_hex(18)}", Random(seed)
    rows = losses * ROWS_A_LOSS
    _write_night(folder, rows)
    provider = EmulatorServer(folder / "provider", token=token, tiny=True, latency=0.2)
    await provider.start()
    buckets = BucketServer()
    processes = Processes(folder, token, **buckets.environment)
    night = Machines(folder, chance, rows, provider, buckets, processes)
    buckets.told = lambda place: _lose_answer(night)
    try:
        await _lose_machines(night, losses)
    except Hung as error:
        night.broken.append(str(error))
    finally:
        await processes.stop()
        await provider.stop()
        buckets.close()
    night.broken += _judge(night, token)
    return night


def _lose_answer(night: Machines) -> None:
    if night.chance.random() < 0.02:
        night.found["answers lost"] += 1
        raise Failure(500)


async def _lose_machines(night: Machines, losses: int) -> None:
    life = await night.start()
    while night.found["losses"] < losses and night.provider.billed < night.rows:
        before = night.provider.billed
        while not life.over and night.provider.billed <= before:
            await life.wait(0.01)
        await life.wait(night.chance.uniform(0, 0.3))
        if life.over:
            break
        sleeps = night.asleep is None and night.chance.random() < 0.3
        if sleeps:
            life.signal(signal.SIGSTOP)
            night.found["of them asleep"] += 1
        else:
            await life.kill()
            await _wake(night)
        night.found["losses"] += 1
        if sleeps:
            night.asleep = life
        life = await night.start()
    if (code := await life.ended()) != 0:
        night.broken.append(f"the last machine ended {code}: {life.said()[-1500:]}")
    await _wake(night)


async def _wake(night: Machines) -> None:
    """Let the run go on whose batch was taken over, while no other one runs."""
    if night.asleep is None:
        return
    life, night.asleep = night.asleep, None
    # What the run that was killed just now has sent may still be on its way.
    await asyncio.sleep(SETTLES)
    creates = night.provider.requests["create"]
    life.signal(signal.SIGCONT)
    code = await life.ended()
    if code != WORK_LEFT:
        night.broken.append(f"a run that slept ended {code}: {life.said()[-1500:]}")
    if late := night.provider.requests["create"] - creates:
        night.found["late creates"] += late
        night.broken.append(f"a run that slept created {late} predictions after it was taken over")


def _judge(night: Machines, token: str) -> Iterator[str]:
    bill = read_bill(night.folder / "provider")
    twice = Bill(tuple(bill)).paid_twice()
    ledger = night.machine / "ledger.sqlite"
    known = {attempt.prediction_id for attempt in ledgers.asked(ledger)}
    unknown = [charge.prediction_id for charge in bill if charge.prediction_id not in known]
    night.found += Counter(
        {"rows": night.rows, "billed": len(bill), "paid twice": len(twice), "lost": len(unknown)}
    )
    if len(bill) != night.rows or twice:
        yield f"{night.rows} rows were billed {len(bill)} times, twice: {sorted(twice)}"
    yield from (f"{prediction} is in no ledger" for prediction in unknown)
    yield from ledgers.faults(ledger)
    yield from leaks(night.folder, token)
    if any(token.encode() in content for content in night.buckets.objects.values()):
        yield "the mirror holds the token"


def _write_night(folder: Path, rows: int) -> None:
    folder.mkdir(parents=True)
    Image.new("RGB", (64, 48), "teal").save(folder / "a.png")
    with (folder / "night.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("id", "image", "mask", "prompt", "finish"))
        writer.writerows((f"r{n}", "a.png", "box:16,12,20,20", f"a lamp {n}", "raw") for n in range(rows))
