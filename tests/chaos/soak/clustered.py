"""A cluster whose workers and scheduler are killed while it makes pictures ready and finishes them."""

from __future__ import annotations

import asyncio
import csv
import os
import secrets
from collections import Counter
from contextlib import closing, suppress
from dataclasses import dataclass, field
from hashlib import sha256
from random import Random
from typing import TYPE_CHECKING
from unittest import mock

import anyio
import numpy as np
from PIL import Image

from batchfill.batch import Batch
from batchfill.emulator.emulator_server import EmulatorServer
from batchfill.settings import timings
from batchfill.storage.remote_store import store_at
from tests.chaos.soak.table import Line
from tests.support.buckets import BucketServer
from tests.support.clusters import ClusterServer
from tests.support.judge import leaks
from tests.support.ledgers import in_ledger
from tests.support.timings import QUICK

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ROWS, KILLS, OF_SCHEDULER = 500, 100, 10
WORKERS = 2
PUTS_A_ROW = 5
"""At least: what is sent of picture and mask, the output and what is made of it, and that in its place."""
ROOT, THERE = "s3://photos/night/", "photos/night/"
MOMENT = 0.02


@dataclass(slots=True)
class Night:
    """One batch, and the cluster that is killed while it runs."""

    machines: ClusterServer
    buckets: BucketServer
    due: dict[int, str]
    """What is killed, by how many objects have been put."""
    puts: int = 0
    found: Counter[str] = field(default_factory=Counter)
    whole: bool = True
    """Whether all of the cluster works."""

    def count_put(self, place: str) -> None:
        """Kill what is due, in the middle of a task: its answer is on its way, and no one takes it."""
        self.puts += 1
        due = [number for number in self.due if number <= self.puts]
        if not due or not self.whole:
            return
        self.whole = False
        what = self.due.pop(min(due))
        self.found[what] += 1
        if what == "schedulers":
            self.machines.kill_scheduler()
        else:
            self.machines.kill_worker()

    async def restart(self) -> None:
        """Start again what was killed, until cancelled."""
        while True:
            if not self.whole:
                with suppress(OSError):
                    await self.machines.have(WORKERS)
                    self.whole = True
            await anyio.sleep(MOMENT)


def clustered(
    seed: int, folder: Path, *, rows: int = ROWS, kills: int = KILLS, of_scheduler: int = OF_SCHEDULER
) -> list[Line]:
    """Run a batch of *rows* below *folder* and kill so many workers and schedulers, drawn from *seed*."""
    folder.mkdir(parents=True, exist_ok=True)
    chance, token = Random(seed), f"r8_{secrets.token_hex(18)}"
    with closing(BucketServer()) as buckets:
        environment = {**buckets.environment, "BATCHFILL_TOKEN": token}
        with (
            closing(ClusterServer(folder, environment, failures=9)) as machines,
            mock.patch.dict(os.environ, buckets.environment),
            mock.patch.object(timings, "DEFAULT", QUICK),
        ):
            store_at.cache_clear()
            night = Night(machines, buckets, _draw(chance, rows, kills, of_scheduler))
            batch, billed = asyncio.run(_live(night, folder, rows, token))
    broken = [*_judge(night, batch, rows, billed), *leaks(folder, token)]
    figures = {
        "rows": rows,
        "creates": billed,
        **{name: night.found[name] for name in ("workers", "schedulers")},
    }
    return [Line("killed", figures, tuple(broken))]


def _draw(chance: Random, rows: int, kills: int, of_scheduler: int) -> dict[int, str]:
    # Before the last rows, so that all of them come to pass.
    places = chance.sample(range(1, rows * PUTS_A_ROW * 4 // 5), kills + of_scheduler)
    return {place: "workers" if n < kills else "schedulers" for n, place in enumerate(places)}


async def _live(night: Night, folder: Path, rows: int, token: str) -> tuple[Batch, int]:
    await night.machines.have(WORKERS)
    provider = EmulatorServer(folder / "provider", token=token, latency=0.1)
    await provider.start()
    manifest = _write_night(folder, rows, night.buckets)
    flags = {"base_url": provider.base, "rate": 60_000, "hand_over": "bucket", "outputs": ROOT}
    batch = Batch.open(
        manifest, environ={"BATCHFILL_TOKEN": token}, cluster=night.machines.address, concurrency=16, **flags
    )
    night.buckets.told = night.count_put
    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(night.restart)
            await batch.run()
            tasks.cancel_scope.cancel()
    finally:
        await provider.stop()
    return batch, provider.billed


def _write_night(folder: Path, rows: int, buckets: BucketServer) -> Path:
    picture, mask = folder / "p.png", folder / "m.png"
    Image.fromarray(np.random.default_rng(5).integers(0, 256, (48, 64, 3), np.uint8)).save(picture)
    hole = Image.new("L", (64, 48))
    hole.paste(255, (16, 12, 40, 30))
    hole.save(mask)
    files = [buckets.put(f"in/{path.name}", path.read_bytes()) for path in (picture, mask)]
    manifest = folder / "night.csv"
    with manifest.open("w", encoding="utf-8", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(["id", "image", "mask", "prompt", "megapixels", "finish"])
        table.writerows([f"r{n}", *files, f"picture {n}", "0.25", "exact"] for n in range(rows))
    return manifest


def _judge(night: Night, batch: Batch, rows: int, billed: int) -> Iterator[str]:
    states = Counter(result.state.value for result in batch.results())
    if states != {"done": rows}:
        yield f"not all rows are done: {dict(states)}"
    if billed != rows:
        yield f"{billed} creates for {rows} rows"
    unfinished = [result.id for result in batch.results() if result.error]
    if unfinished:
        yield f"delivered with a complaint: {unfinished}"
    there = {
        key.removeprefix(THERE): sha256(content).hexdigest()
        for key, content in night.buckets.objects.items()
        if key.startswith(f"{THERE}outputs/")
    }
    known = dict(in_ledger(batch, "SELECT file, put FROM remote_files WHERE put IS NOT NULL"))
    if there != known:
        yield f"{len(there)} objects, and the ledger knows {len(known)}"
    left = [key for key in night.buckets.objects if key.startswith(f"{THERE}made/")]
    if left:
        yield f"left in made/: {left}"
    if night.due:
        yield f"never killed: {night.due}"
