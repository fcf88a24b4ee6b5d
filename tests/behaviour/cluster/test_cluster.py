"""Work on pictures of buckets is done by a cluster, and whatever it does no picture is lost or paid twice."""

from __future__ import annotations

import os
import sys
import threading
import time
from contextlib import asynccontextmanager, closing
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import pytest

from batchfill.batch import Batch
from batchfill.emulator.emulator_predictions import Predictions
from batchfill.errors import BadPicture, UsageError
from batchfill.images.codec.decode import read_header
from batchfill.settings.timings import Timings
from batchfill.storage.store_variables import OWN_ENDPOINT
from batchfill.workers.cluster_workers import open_cluster
from batchfill.workers.pool import Threads
from tests.behaviour.cluster.conftest import MADE, OUTPUTS, ROOT, OwnProcesses, placed, until
from tests.support.batches import counts, pictures
from tests.support.bounds import HANGS
from tests.support.buckets import KEY, SECRET, BucketServer
from tests.support.providers import TOKEN
from tests.support.timings import set_timings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from batchfill.emulator.emulator_server import EmulatorServer
    from tests.support.clusters import ClusterServer
    from tests.support.desk import Desk
    from tests.support.listeners import Ears

    Open = Callable[..., Batch]
    Serve = Callable[..., Awaitable[EmulatorServer]]
    Store = Callable[..., list[dict[str, str]]]

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="forks are for POSIX")

PROGRESS = 0.02
"""Seconds for which a run that did too much would have time for that."""


async def test_a_cluster_makes_pictures_ready_finishes_and_judges_them(
    service: Serve, clustered: Open, stored: Store, buckets: BucketServer, machines: ClusterServer
) -> None:
    await machines.have(2)
    provider = await service(tiny=False)
    rows = [*stored(3), {**stored(4)[3], "finish": "raw"}]
    night = clustered(provider, rows)

    summary = await night.run()

    assert summary.exit_code == 0
    assert placed(buckets) == ["r1.png", "r2.png", "r3.png", "r4.webp"]
    assert set(OwnProcesses.done) <= {"put_file"}
    assert not [key for key in buckets.objects if key.startswith(MADE)]


async def test_a_cluster_makes_the_same_files_as_this_machine(
    service: Serve,
    clustered: Open,
    batch: Open,
    stored: Store,
    machines: ClusterServer,
    buckets: BucketServer,
) -> None:
    await machines.have(2)
    provider, rows = await service(tiny=False), stored(2, seed="7", metadata="false")
    there = clustered(provider, rows)
    await there.run()
    here = batch(provider, rows, out=there.folder.with_name("here.batch"))
    await here.run()

    assert placed(buckets) == pictures(here) == ["r1.png", "r2.png"]
    for name in pictures(here):
        assert buckets.objects[f"{OUTPUTS}{name}"] == (here.folder / "outputs" / name).read_bytes()
    told = [[(r.flags, r.finished_as) for r in night.results()] for night in (there, here)]
    assert told[0] == told[1]


async def test_a_worker_that_is_killed_costs_no_row_and_no_create(
    service: Serve, clustered: Open, stored: Store, machines: ClusterServer, buckets: BucketServer
) -> None:
    await machines.have(2)
    provider = await service(tiny=False)
    night = clustered(provider, stored(8), concurrency=4)
    # In the middle of a task each time: it has read, and what it puts is on its way.
    kills = iter((True, False, False, True))
    killed = threading.Event()

    def kill(place: str) -> None:
        if next(kills, False):
            machines.kill_worker()
            killed.set()

    buckets.told = kill
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(night.run)
        await until(lambda: len(machines.workers) < 2)
        await machines.have(2)

    assert counts(night) == {"done": 8}
    assert len(provider.predictions()) == 8
    assert not [key for key in buckets.objects if key.startswith(MADE)]


async def test_the_server_of_buckets_that_a_batch_names_is_that_of_its_workers(
    service: Serve,
    stored: Store,
    buckets: BucketServer,
    desk: Desk,
    machines: ClusterServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await machines.have(1)
    rows, provider = stored(2), await service(tiny=False)
    # So that it is put back afterwards.
    monkeypatch.setenv(OWN_ENDPOINT, "")
    OwnProcesses.end_idle()
    with closing(BucketServer()) as other:
        # The one that the environment of the workers names has no such pictures any more.
        other.objects = dict(buckets.objects)
        buckets.forget()
        environ = {"BATCHFILL_TOKEN": TOKEN, "BATCHFILL_S3_ENDPOINT": other.address}
        flags = {"base_url": provider.base, "hand_over": "bucket", "outputs": ROOT}
        night = Batch.open(desk.write(rows), environ=environ, cluster=machines.address, **flags)

        assert (await night.run()).exit_code == 0

        assert placed(other) == ["r1.png", "r2.png"]
        assert set(OwnProcesses.done) <= {"put_file"}
        assert not buckets.asked
    OwnProcesses.end_idle()
    assert other.address not in machines.log.read_text("utf-8")


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> anyio.Event:
    """Have predictions of the emulator run until it is set."""
    opened = anyio.Event()
    monkeypatch.setattr(Predictions, "_sleep_until", lambda self, moment: opened.wait())
    return opened


@pytest.fixture
def lost(clustered: Open, stored: Store, machines: ClusterServer, buckets: BucketServer, ears: Ears) -> Any:
    """Lose the cluster while two rows of eight run, and the others are ready to be submitted; see below."""

    @asynccontextmanager
    async def lose(provider: EmulatorServer, **flags: Any) -> AsyncIterator[Batch]:
        await machines.have(1)
        sent: list[str] = []
        buckets.told = lambda place: sent.append(place) if "/sent/" in place else None
        night = clustered(provider, stored(8), concurrency=2, **flags)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(partial(night.run, watch=ears))
            await until(lambda: len(sent) == 16 and len(provider.predictions()) == 2)
            machines.kill_scheduler()
            await until(lambda: any("nothing more is submitted" in text for text in ears.texts))
            yield night
            assert len(provider.predictions()) == 2
            await machines.have(2)
        assert counts(night) == {"done": 8}
        assert len(provider.predictions()) == 8
        assert any("works again" in text for text in ears.texts)

    return lose


async def test_nothing_is_submitted_without_workers_and_what_runs_is_fetched(
    service: Serve, lost: Any, gate: anyio.Event
) -> None:
    async with lost(await service(tiny=False)) as night:
        gate.set()
        # Though no worker finishes them.
        await until(lambda: len(list((night.folder / "outputs/raw").glob("*"))) == 2)
        await anyio.sleep(5 * PROGRESS)
        assert counts(night).get("done", 0) == 0


async def test_without_workers_for_long_this_machine_finishes_what_runs(
    service: Serve, lost: Any, gate: anyio.Event
) -> None:
    async with lost(await service(tiny=False), worker_wait=0.3) as night:
        gate.set()
        await until(lambda: counts(night).get("done", 0) == 2)
        await anyio.sleep(5 * PROGRESS)
        assert "work_on_objects" in OwnProcesses.done


async def test_a_run_without_any_worker_ends_once_it_has_waited_long_enough(
    service: Serve, clustered: Open, stored: Store, machines: ClusterServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    machines.kill_scheduler()
    set_timings(monkeypatch, disk_patience=0.1, cluster_question=0.1)
    provider = await service()
    night = clustered(provider, stored(1), worker_wait=0)

    summary = await night.run()

    assert (summary.exit_code, provider.predictions()) == (3, [])
    assert "the scheduler of the cluster at" in (summary.stopped_because or "")


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (
            {"software": "batchfill 0.1.0, Pillow 1.0, numpy 2.0"},
            "has batchfill 0.1.0, Pillow 1.0, numpy 2.0",
        ),
        ({"preload": ""}, "was started without --preload batchfill.workers.preload"),
    ],
    ids=["another Pillow", "no preload"],
)
async def test_a_worker_of_another_kind_is_refused_before_anything_is_paid_for(
    service: Serve,
    clustered: Open,
    stored: Store,
    machines: ClusterServer,
    other: dict[str, str],
    words: str,
) -> None:
    await machines.have(1)
    await machines.have(2, **other)
    provider, rows = await service(), stored(1)
    try:
        with pytest.raises(UsageError, match=words):
            await clustered(provider, rows).run()
    finally:
        machines.kill_workers()

    assert provider.predictions() == []


async def test_a_worker_of_another_kind_that_comes_later_gets_no_task(machines: ClusterServer) -> None:
    await machines.have(1)
    said: list[str] = []
    timings = Timings(cluster_look=0.05)
    async with open_cluster(machines.address, Threads(), said.append, timings, wait=HANGS) as cluster:
        await machines.have(2, software="batchfill 0.0.1, Pillow 1.0, numpy 2.0")
        await until(lambda: bool(said))
        answers = {await cluster.do(_environment, "BATCHFILL_NONE") for _ in range(6)}
        assert answers == {None}
        assert cluster.window == 2
    machines.kill_workers()
    assert len(said) == 1
    assert "a worker of the cluster gets no task: tcp://127.0.0.1:" in said[0]
    assert "has batchfill 0.0.1" in said[0]


async def test_work_that_ends_its_workers_is_an_error_of_the_picture(machines: ClusterServer) -> None:
    await machines.have(3)
    timings = Timings(cluster_look=0.05)
    async with open_cluster(machines.address, Threads(), print, timings, wait=HANGS) as cluster:
        with pytest.raises(BadPicture, match="too much for the cluster: working on it ended its workers"):
            await cluster.do(os._exit, 9)
        machines.kill_workers()
        await machines.have(1)
        assert await cluster.do(sum, (1, 2)) == 3
        with pytest.raises(BadPicture, match=r"hero\.png is text, not a picture"):
            await cluster.do(read_header, machines.text_file("hero.png"))


async def test_no_token_no_key_and_no_signature_is_in_a_cluster(
    service: Serve, clustered: Open, stored: Store, machines: ClusterServer
) -> None:
    await machines.have(1)
    rows = stored(2, prompt="a secret garden")
    night = clustered(await service(tiny=False), rows)
    seen = await _state_during(machines, night.run)

    assert "batchfill-" in seen, "no task was seen"
    told = seen + machines.log.read_text("utf-8")
    for secret in (TOKEN, KEY, SECRET, "X-Amz", "a secret garden", "photos/", "/outputs/"):
        assert secret not in told
    timings = Timings(cluster_look=0.05)
    async with open_cluster(machines.address, Threads(), print, timings, wait=HANGS) as cluster:
        for name in ("BATCHFILL_TOKEN", "REPLICATE_API_TOKEN"):
            assert await cluster.do(_environment, name) is None
        assert await cluster.do(_environment, "AWS_ACCESS_KEY_ID") == KEY


async def test_other_work_has_its_turn_while_outputs_are_fetched_without_a_pause(
    machines: ClusterServer,
) -> None:
    await machines.have(1)
    timings = Timings(cluster_look=0.05)
    async with open_cluster(machines.address, Threads(), print, timings, wait=HANGS) as cluster:
        await until(lambda: bool(cluster.window))

        async def fetch() -> None:
            while True:
                await cluster.offer(time.sleep, 0.02, within=HANGS)

        async with anyio.create_task_group() as fetching:
            for _ in range(16):
                fetching.start_soon(fetch)
            with anyio.fail_after(HANGS):
                assert await cluster.do(sum, (1, 2)) == 3
            fetching.cancel_scope.cancel()


async def test_rows_with_files_of_this_machine_are_worked_on_here(
    service: Serve, clustered: Open, stored: Store, desk: Desk, machines: ClusterServer
) -> None:
    await machines.have(1)
    rows = stored(2)
    rows[0]["mask"] = "masks/p.png"
    night = clustered(await service(tiny=False), rows)

    assert (await night.run()).exit_code == 0
    # Of r1 alone: a worker elsewhere does not see its mask.
    assert [OwnProcesses.done.count(name) for name in ("hand_over", "finish_row", "work_on_objects")] == [
        1,
        1,
        0,
    ]


async def test_a_cluster_that_no_row_can_use_is_said_and_not_asked(
    service: Serve, batch: Open, stored: Store, ears: Ears
) -> None:
    night = batch(await service(), stored(1), cluster="tcp://127.0.0.1:1")

    assert (await night.run(watch=ears)).exit_code == 0
    assert any(text.startswith("the cluster gets no work") for text in ears.texts)


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ({"cluster": "tcp://10.0.0.5:8786"}, "neither encrypted nor proves who it is: use tls://"),
        ({"cluster": "tls://10.0.0.5:8786"}, "tls:// needs certificates, and dask has none"),
        ({"cluster": "10.0.0.5:8786"}, "must be the address of a scheduler such as tls://HOST:8786"),
    ],
    ids=["plain tcp", "no certificates", "no scheme"],
)
async def test_a_cluster_that_could_be_anyones_is_refused(
    service: Serve, clustered: Open, stored: Store, flags: dict[str, str], words: str
) -> None:
    provider = await service()
    with pytest.raises(UsageError, match=words):
        await clustered(provider, stored(1), **flags).run()
    assert provider.predictions() == []


async def test_a_manifest_names_no_cluster(batch: Open, stored: Store) -> None:
    with pytest.raises(UsageError, match="cluster cannot be set in a manifest"):
        await batch("https://provider.test/v1", stored(1), head={"cluster": "tls://evil.test:1"}).run()


async def test_without_its_extra_a_cluster_is_refused_with_what_to_install(
    service: Serve, clustered: Open, stored: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(UsageError, match=r"pip install 'batchfill\[cluster\]'"):
        await clustered(await service(), stored(1)).run()


async def _state_during(machines: ClusterServer, run: Callable[[], Awaitable[Any]]) -> str:
    """Return all that a scheduler can tell of its tasks while they are there, as its pages would."""
    from distributed import Client

    seen: list[str] = []

    async def look(client: Client) -> None:
        while True:
            seen.append(await client.run_on_scheduler(_show_tasks))
            await anyio.sleep(0.005)

    async with (
        Client(machines.address, asynchronous=True, set_as_default=False) as client,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(look, client)
        await run()
        tasks.cancel_scope.cancel()
    return "".join(seen)


def _show_tasks(dask_scheduler: Any) -> str:
    tasks = [
        f"{one.key} {one.run_spec} {getattr(one.run_spec, 'args', '')} {one.annotations} {one.exception_text}"
        for one in dask_scheduler.tasks.values()
    ]
    workers = [(one.resources, one.extra, one.versions) for one in dask_scheduler.workers.values()]
    return f"{tasks} {workers}"


_environment = os.getenv
