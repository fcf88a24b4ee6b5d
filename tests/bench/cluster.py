"""What a cluster loses, and what it costs the run: `python -m tests.bench.cluster`, which prints tables.

Its workers sleep as long as a picture takes: a machine with few cores can have many of them. The CPU of
the run is that of its own process, in a night whose pictures real workers make ready and finish. As many
workers as most machines have cores make photographs ready: the bucket that they read has to share these.
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import anyio
import psutil
from PIL import Image

from batchfill.catalog.builtin import find_model
from batchfill.domain.objects import ObjectFile
from batchfill.images.prepare.input_file import fitting_of
from batchfill.run.submit.hand_over import HandOverTask, hand_over
from batchfill.settings.timings import DEFAULT
from batchfill.storage.remote_store import RemoteStore
from batchfill.workers.cluster_workers import ClusterWorkers, open_cluster
from batchfill.workers.pool import Threads
from tests.bench import photograph
from tests.bench.photo_files import ORIGINALS, SHARES, SIZES
from tests.support.buckets import KEY, SECRET, BucketServer, environment_for
from tests.support.clusters import ClusterServer
from tests.support.ports import find_free_port
from tests.support.providers import TOKEN

if TYPE_CHECKING:
    from collections.abc import Iterator

PICTURE = 1.0
"""Seconds that a worker sleeps for a picture."""


class Asleep(NamedTuple):
    """Tasks that sleep, done by so many workers."""

    workers: int
    took: float
    ideal: float
    cpu: float
    """Seconds of the process that gave them out."""
    tasks: int


async def sleep_through(workers: int, tasks: int) -> Asleep:
    """Have *workers* sleep through *tasks*."""
    with tempfile.TemporaryDirectory() as folder, closing(ClusterServer(Path(folder), {})) as machines:
        await machines.have(workers)
        async with open_cluster(machines.address, Threads(), print, DEFAULT, wait=600) as cluster:
            await _sleep(cluster, 2 * workers, 0.01)
            began, cpu = time.monotonic(), time.process_time()
            await _sleep(cluster, tasks, PICTURE)
            took, spent = time.monotonic() - began, time.process_time() - cpu
    return Asleep(workers, took, tasks * PICTURE / workers, spent, tasks)


async def _sleep(cluster: ClusterWorkers, tasks: int, seconds: float) -> None:
    async with anyio.create_task_group() as group:
        for _ in range(tasks):
            group.start_soon(cluster.do, time.sleep, seconds)


class MadeReady(NamedTuple):
    """Photographs of 12 megapixels, made ready by so many workers."""

    workers: int
    took: float
    cpu: float
    """Seconds of the workers."""
    tasks: int


def make_photographs_ready(tasks: int) -> list[MadeReady]:
    """Have one worker, then two, make *tasks* photographs ready for each of them."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        bucket = stack.enter_context(_started("-m", __spec__.name, "--serve"))
        environment = environment_for(_line_of(bucket), KEY, SECRET)
        os.environ.update(environment)
        task = _put_photograph(folder)
        machines = stack.enter_context(closing(ClusterServer(folder, environment)))
        return [asyncio.run(_make_ready(machines, workers, tasks * workers, task)) for workers in (1, 2)]


def _put_photograph(folder: Path) -> HandOverTask:
    """Have a photograph and its mask in the bucket; return the task of making them ready."""
    model = find_model("black-forest-labs/flux-fill-dev")
    assert model is not None
    picture, mask = folder / "a.jpg", folder / "a-mask.png"
    photograph.mosaic(*SIZES["12"]).save(picture, **ORIGINALS["jpg"])
    photograph.ellipse(*SIZES["12"], SHARES["small"]).save(mask)
    store, files = RemoteStore(), {}
    for name, path in (("image", picture), ("mask", mask)):
        address = f"s3://photos/in/{path.name}"
        store.put_object(address, path.read_bytes(), mime="image/any")
        found = store.find_object(address)
        assert isinstance(found, ObjectFile)
        files[name] = found
    fitting = fitting_of(model, {}, frozenset(files), send="fit", limit=None)
    return HandOverTask(files, fitting, "s3://photos/night/")


async def _make_ready(machines: ClusterServer, workers: int, tasks: int, task: HandOverTask) -> MadeReady:
    await machines.have(workers)
    async with open_cluster(machines.address, Threads(), print, DEFAULT, wait=600) as cluster:

        async def do(times: int) -> None:
            async with anyio.create_task_group() as group:
                for _ in range(times):
                    group.start_soon(cluster.do, hand_over, task)

        await do(4 * workers)
        began, before = time.monotonic(), _cpu_of(machines)
        await do(tasks)
        return MadeReady(workers, time.monotonic() - began, _cpu_of(machines) - before, tasks)


def _cpu_of(machines: ClusterServer) -> float:
    times = [psutil.Process(worker).cpu_times() for worker in machines.workers.values()]
    return sum(float(one.user + one.system) for one in times)


def serve() -> None:
    """Serve a bucket until killed, and print its address."""
    print(BucketServer().address, flush=True)
    time.sleep(86_400)


def cpu_of_run(rows: int, workers: int) -> float:
    """Return the seconds of CPU a row of a run with a cluster, from its first create to its last."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        bucket = stack.enter_context(_started("-m", __spec__.name, "--serve"))
        os.environ.update(environment_for(_line_of(bucket), KEY, SECRET), BATCHFILL_TOKEN=TOKEN)
        port = str(find_free_port())
        served = ("serve", "--port", port, "--folder", str(folder / "front"))
        _line_of(stack.enter_context(_started("-m", "batchfill", *served)))
        machines = stack.enter_context(closing(ClusterServer(folder, {})))
        asyncio.run(machines.have(workers))
        flags = {
            "manifest": str(_write_night(folder, rows)),
            "base_url": f"http://127.0.0.1:{port}/v1",
            "rate": 6000,
            "hand_over": "bucket",
            "outputs": "s3://photos/night/",
            "cluster": machines.address,
        }
        ran = subprocess.run(
            [sys.executable, "-m", "tests.bench.runner", json.dumps(flags)],
            stdout=subprocess.PIPE,
            check=True,
        )
    told: list[float] = json.loads(ran.stdout)["cpu_at_create"]
    return (told[-1] - told[0]) / (len(told) - 1)


@contextmanager
def _started(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen([sys.executable, *arguments], stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def _line_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def _write_night(folder: Path, rows: int) -> Path:
    picture = folder / "a.png"
    Image.effect_noise((96, 64), 80).convert("RGB").save(picture)
    address = "s3://photos/in/a.png"
    RemoteStore().put_object(address, picture.read_bytes(), mime="image/png")
    manifest = folder / "night.csv"
    with manifest.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("id", "image", "mask", "prompt", "megapixels"))
        writer.writerows((f"r{n}", address, "box:16,12,40,20", f"a lamp {n}", "0.25") for n in range(rows))
    return manifest


def _lines(tasks: int, rows: int) -> Iterator[str]:
    yield "| workers | of the ideal | idle while tasks wait | CPU a task of the process that gives them out |"
    yield "|---|---|---|---|"
    for workers in (1, 2, 10):
        found = asyncio.run(sleep_through(workers, tasks * workers))
        share = found.ideal / found.took
        yield f"| {workers} | {share:.3f} | {1 - share:.1%} | {1000 * found.cpu / found.tasks:.1f} ms |"
    yield ""
    yield f"CPU of a run's own process with 10 workers, a row: {1000 * cpu_of_run(rows, 10):.1f} ms"
    yield ""
    yield "| workers | photographs of 12 megapixels made ready a second | CPU of the workers for each |"
    yield "|---|---|---|"
    for ready in make_photographs_ready(tasks):
        rate, cpu = ready.tasks / ready.took, ready.cpu / ready.tasks
        yield f"| {ready.workers} | {rate:.2f} | {1000 * cpu:.0f} ms |"


def main() -> None:
    """Print the table, or serve the bucket of a night."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=20, help="for each worker")
    parser.add_argument("--rows", type=int, default=200)
    parser.add_argument("--serve", action="store_true")
    options = parser.parse_args()
    if options.serve:
        serve()
    else:
        for line in _lines(options.tasks, options.rows):
            print(line, flush=True)


if __name__ == "__main__":
    main()
