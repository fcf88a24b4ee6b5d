"""A cluster that is gone for long, in virtual time: nothing more is paid for, and what was is fetched."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from batchfill.batch import Batch
from batchfill.session import session
from batchfill.workers import cluster_workers
from batchfill.workers.cluster import Members
from tests.chaos.nights.loop import SimLoop
from tests.chaos.nights.night import TOKEN
from tests.chaos.nights.world import Near, World
from tests.support.batches import counts
from tests.support.machines import Machines

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.buckets import BucketServer
    from tests.support.desk import Desk

ROWS, AT_ONCE, WORKERS = 24, 6, 4
RUN_TIME = 400.0
GONE, BACK = 500.0, 500.0 + 20 * 60
"""When the workers go, in the middle of predictions, and when they are there again."""
SAID = 10.0 + 2.0
"""Seconds after which nothing is submitted any more: patience, and the look that finds it out."""


class Here:
    """The processes of the machine that pays, in this one."""

    def __init__(self, most: int | None = None, **_: Any) -> None:
        self.most = 1

    async def do(self, work: Any, task: Any) -> Any:
        """Do it."""
        return work(task)

    def close(self) -> None:
        """There is none to end."""


class Night:
    """One run of a batch whose cluster goes away and comes back."""

    def __init__(self, machines: Machines, worker_wait: float) -> None:
        self.machines = machines
        self.worker_wait = worker_wait
        self.there = anyio.Event()
        self.there.set()
        machines.answers = lambda given: self.there
        self.created: list[float] = []
        self.fetched = 0
        """Outputs that the run has from the service a moment before the workers are back."""
        self.before, self.states = dict[str, int](), dict[str, int]()
        """What the rows are in at that moment, and in the end."""

    async def play(self, manifest: Path, world: World) -> Night:
        """Run the batch of *manifest* to its end."""
        loop = asyncio.get_running_loop()
        provider = Near(world, world.folder / "provider", token=TOKEN, latency=RUN_TIME)
        provider.on_create = lambda record: self.created.append(loop.time())
        await provider.start()
        flags = {"base_url": provider.base, "outputs": "s3://photos/night/", "concurrency": AT_ONCE}
        flags |= {"cluster": self.machines.address, "worker_wait": self.worker_wait}
        batch = Batch.open(manifest, environ={"BATCHFILL_TOKEN": TOKEN}, **flags)
        loop.call_at(GONE, self.leave)
        loop.call_at(BACK - 1, self.look, batch, provider)
        loop.call_at(BACK, self.come)
        with world.entered():
            world.begin()
            await batch.run()
        self.states = counts(batch)
        await provider.stop()
        return self

    def leave(self) -> None:
        """Lose the workers: what they are given waits."""
        self.machines.next = Members(0)
        self.there = anyio.Event()

    def look(self, batch: Batch, provider: Near) -> None:
        """Note how far the run is."""
        self.before, self.fetched = counts(batch), provider.requests["output"]

    def come(self) -> None:
        """Have them again."""
        self.machines.next = Members(WORKERS)
        self.there.set()


@pytest.fixture
def play(
    tmp_path: Path, desk: Desk, buckets: BucketServer, monkeypatch: pytest.MonkeyPatch
) -> Callable[[float], Night]:
    """Play a night with this --worker-wait."""
    (row,) = desk.exact_rows(1, (64, 48), (16, 12, 40, 30), megapixels="0.25")
    for name in ("image", "mask"):
        row[name] = buckets.put(f"{name}.png", (desk.folder / row[name]).read_bytes())
    manifest = desk.write([{**row, "id": f"r{n}", "prompt": f"picture {n}"} for n in range(ROWS)])
    machines = Machines(WORKERS)
    monkeypatch.setattr(cluster_workers, "Cluster", lambda *_, **__: machines)
    monkeypatch.setattr(session, "Processes", Here)

    async def played(worker_wait: float) -> Night:
        return await Night(machines, worker_wait).play(manifest, World(tmp_path, 7))

    def run(worker_wait: float) -> Night:
        with asyncio.Runner(loop_factory=SimLoop) as runner:
            return runner.run(played(worker_wait))

    return run


@pytest.mark.parametrize(
    ("worker_wait", "state"), [(600.0, "done"), (3600.0, "collecting")], ids=["finished here", "waits"]
)
def test_without_workers_for_20_minutes_nothing_is_created_and_what_runs_is_fetched(
    play: Callable[[float], Night], worker_wait: float, state: str
) -> None:
    night = play(worker_wait)

    paid = [at for at in night.created if at <= GONE]
    assert [at for at in night.created if GONE + SAID < at < BACK] == []
    assert paid[-1] + RUN_TIME > GONE, "no prediction ran when the workers went"
    assert night.fetched == len(paid)
    assert night.before == Counter({state: AT_ONCE}) + Counter(
        {"done": len(paid) - AT_ONCE, "pending": ROWS - len(paid)}
    )
    assert (night.states, len(night.created)) == ({"done": ROWS}, ROWS)
