"""Runs that are killed while they change the bucket of --outputs: what it holds is what the ledger says.

Each night is one batch of a few rows. Between its runs rows change their names and their prompts. So files
are put, replaced, read back and removed. A run is killed at a request to the bucket that is drawn, before it
is carried out or after it.
"""

from __future__ import annotations

import csv
import secrets
import signal
import threading
from collections import Counter
from dataclasses import dataclass, field
from hashlib import sha256
from random import Random
from typing import TYPE_CHECKING

from PIL import Image

from batchfill.emulator.emulator_server import EmulatorServer
from batchfill.emulator.journal import read_bill
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

KILLS = 200
KILLS_A_NIGHT = 20
ROWS = 6
AT_ONCE = 2
STARTS_A_KILL = 4
"""Runs that may end by themselves for each that is killed; then the night is over."""
ROOT = "s3://photos/night/"
THERE = "photos/night/outputs/"
REQUESTS = 24
"""Of one run to the bucket, about."""
TIMES = ("--recover-wait", "1", "--answer-timeout", "3", "--rate", "60000", "--concurrency", "4")


@dataclass(slots=True)
class Night:
    """One batch, and the run of it that is to be killed."""

    folder: Path
    chance: Random
    provider: EmulatorServer
    buckets: BucketServer
    processes: Processes
    rows: list[dict[str, str]]
    found: Counter[str] = field(default_factory=Counter)
    """What happened, by its name in the table."""
    broken: list[str] = field(default_factory=list)
    life: Life | None = None
    requests_left: int = 0
    """To the bucket, until the run is killed; none is left: it is not."""
    taken: bool = False
    """Whether the request at which it is killed is carried out."""
    counting: threading.Lock = field(default_factory=threading.Lock)

    @property
    def batch(self) -> Path:
        """The batch folder."""
        return self.folder / "night.batch"

    def refuse(self, kind: str, place: str) -> Failure | None:
        """Kill the run where its time has come; return what its request meets."""
        with self.counting:
            if self.requests_left <= 0 or not place.startswith(THERE):
                return None
            self.requests_left -= 1
            if self.requests_left or self.life is None:
                return None
        self.life.signal(signal.SIGKILL)
        self.found[f"in a {kind}"] += 1
        return None if self.taken else Failure(500)

    async def run(self, *, killed: bool) -> int:
        """Run the batch, *killed* at some request or to its end; return its exit code."""
        self.taken = self.chance.random() < 0.5
        self.life = None
        self.requests_left = self.chance.randint(1, REQUESTS) if killed else 0
        base = ("--base-url", self.provider.base, "--outputs", ROOT)
        self.life = await self.processes.start("batchfill", "run", "night.csv", *base, *TIMES)
        return await self.life.ended()


def in_bucket(seed: int, folder: Path, *, kills: int = KILLS) -> list[Line]:
    """Kill so many runs below an empty *folder*, drawn from *seed*; return what came of it."""
    nights = share_out(_live, seed, folder, deeds=kills, each=KILLS_A_NIGHT, at_once=AT_ONCE)
    places = ("in a put", "in a get", "in a head", "in a delete")
    return [sum_up("outputs in a bucket", nights, ("starts", "kills", *places, "objects", "billed", "lost"))]


async def _live(folder: Path, kills: int, seed: str) -> Night:
    token, chance = f"r8_{secrets.token_hex(18)}", Random(seed)
    folder.mkdir(parents=True)
    _draw_picture(folder)
    provider = EmulatorServer(folder / "provider", token=token, latency=0.02)
    await provider.start()
    buckets = BucketServer()
    processes = Processes(folder, token, **buckets.environment)
    night = Night(folder, chance, provider, buckets, processes, _first_rows())
    buckets.fail = night.refuse
    try:
        await _kill_runs(night, kills)
    except Hung as error:
        night.broken.append(str(error))
    finally:
        await processes.stop()
        await provider.stop()
        buckets.close()
    night.broken += [*_judge(night), *leaks(folder, token)]
    return night


async def _kill_runs(night: Night, kills: int) -> None:
    while night.found["kills"] < kills and night.found["starts"] < kills * STARTS_A_KILL:
        _edit(night)
        night.found["starts"] += 1
        code = await night.run(killed=True)
        night.found["kills"] += code == -signal.SIGKILL
        if code not in (0, -signal.SIGKILL):
            night.broken.append(f"a run ended {code}: {night.life and night.life.said()[-1500:]}")
    if (code := await night.run(killed=False)) != 0:
        night.broken.append(f"the last run ended {code}: {night.life and night.life.said()[-1500:]}")


def _edit(night: Night) -> None:
    """Give some rows the names of others, or new ones, and one of them perhaps another prompt."""
    chance, rows = night.chance, night.rows
    some = chance.sample(range(len(rows)), chance.randint(0, len(rows)))
    names = [rows[n]["id"] for n in some]
    if names and chance.random() < 0.3:
        names[0] = f"r{chance.randrange(10**6)}"
    for n, name in zip(some, names[1:] + names[:1], strict=True):
        rows[n]["id"] = name
    if chance.random() < 0.3:
        chance.choice(rows)["prompt"] = f"a lamp {chance.randrange(10**6)}"
    with (night.folder / "night.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, [*rows[0]])
        writer.writeheader()
        writer.writerows(rows)


def _judge(night: Night) -> Iterator[str]:
    ledger = night.batch / "ledger.sqlite"
    kept = {one.file: one for one in ledgers.kept(ledger)}
    wanted = {one.file: one.sha256 for one in kept.values()}
    there = {
        f"outputs/{place.removeprefix(THERE)}": sha256(content).hexdigest()
        for place, content in night.buckets.objects.items()
        if place.startswith(THERE)
    }
    bill = read_bill(night.folder / "provider")
    lost = {charge.prediction_id for charge in bill} - {one.prediction_id for one in kept.values()}
    night.found += Counter({"objects": len(there), "billed": len(bill), "lost": len(lost)})
    if there != wanted:
        wrong = sorted(name for name in there.keys() | wanted.keys() if there.get(name) != wanted.get(name))
        yield f"the bucket is not as the ledger says: {wrong}"
    left = [path for part in ("outputs", "tmp") for path in (night.batch / part).rglob("*") if path.is_file()]
    yield from (f"{path} is left in the batch folder" for path in left)
    yield from (f"{prediction} has no file" for prediction in lost)
    asked = Counter(record.input["prompt"] for record in night.provider.predictions())
    yield from (f"{prompt!r} was paid for {times} times" for prompt, times in asked.items() if times > 1)


def _first_rows() -> list[dict[str, str]]:
    finishes = ("raw", "exact")
    cells = {"image": "a.png", "mask": "box:16,12,20,20", "megapixels": "0.25"}
    return [{"id": f"r{n}", **cells, "prompt": f"lamp {n}", "finish": finishes[n % 2]} for n in range(ROWS)]


def _draw_picture(folder: Path) -> None:
    Image.linear_gradient("L").resize((64, 48)).convert("RGB").save(folder / "a.png")
