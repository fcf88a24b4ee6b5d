"""What a mirror of the ledger costs: `python -m tests.bench.mirrored`, which prints a table.

A night is run at the local emulator, 600 rows a minute, and the bucket is a process of its own on loopback.
It answers at once, or as late as a storage does that is far away.
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from PIL import Image

from batchfill.batch import Batch
from batchfill.ledger.mirrored.mirrored_commits import MirroredCommits
from batchfill.storage.mirror.bucket_mirror import BucketMirror
from batchfill.storage.mirror.mirror_bucket import MirrorBucket
from tests.support.buckets import KEY, SECRET, BucketServer, environment_for

if TYPE_CHECKING:
    from collections.abc import Iterator

DELAYS = (0.0, 0.03)
"""Seconds until the bucket answers a write."""
RATE = 600


@dataclass(slots=True)
class Cost:
    """What one night cost."""

    commits: int = 0
    packed: int = 0
    pages: int = 0
    """Bytes of pages, before they were packed."""
    cpu: float = 0.0
    took: float = 0.0
    waited: tuple[float, ...] = ()
    """Seconds that each commit waited for the mirror."""


def serve(delay: float) -> None:
    """Serve a bucket until killed, and print its address."""
    server = BucketServer()
    server.told = lambda place: time.sleep(delay)
    print(server.address, flush=True)
    time.sleep(86_400)


def measure(rows: int, delay: float | None) -> Cost:
    """Run a night and return its cost; without a *delay* nothing is mirrored."""
    with tempfile.TemporaryDirectory() as name:
        manifest = _write_night(Path(name), rows)
        if delay is None:
            return _run(manifest, None)
        command = [sys.executable, "-m", __spec__.name, "--serve", str(delay)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
            assert server.stdout is not None
            os.environ.update(environment_for(server.stdout.readline().strip(), KEY, SECRET))
            try:
                return _run(manifest, "s3://photos/night/")
            finally:
                server.kill()


def _run(manifest: Path, mirror: str | None) -> Cost:
    cost, waited = Cost(), []
    put, follow, create = BucketMirror.put_commits, MirroredCommits.follow_commit, MirrorBucket.create

    def counted(self: BucketMirror, frames: bytes, commits: int) -> None:
        cost.commits, cost.pages = cost.commits + 1, cost.pages + len(frames)
        put(self, frames, commits)

    def weighed(self: MirrorBucket, name: str, content: bytes) -> bool:
        cost.packed += len(content)
        return create(self, name, content)

    async def timed(self: MirroredCommits) -> None:
        began = time.perf_counter()
        await follow(self)
        waited.append(time.perf_counter() - began)

    BucketMirror.put_commits, MirroredCommits.follow_commit = counted, timed  # type: ignore[method-assign]
    MirrorBucket.create = weighed  # type: ignore[method-assign]
    try:
        began, cpu = time.monotonic(), time.process_time()
        batch = Batch.open(manifest, local=True, rate=RATE, mirror=mirror, yes=True)
        asyncio.run(batch.run())
        cost.cpu, cost.took = time.process_time() - cpu, time.monotonic() - began
    finally:
        BucketMirror.put_commits, MirroredCommits.follow_commit = put, follow  # type: ignore[method-assign]
        MirrorBucket.create = create  # type: ignore[method-assign]
    cost.waited = tuple(waited)
    return cost


def _write_night(folder: Path, rows: int) -> Path:
    Image.new("RGB", (64, 48), "teal").save(folder / "a.png")
    manifest = folder / "night.csv"
    with manifest.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("id", "image", "mask", "prompt", "megapixels"))
        writer.writerows((f"r{n}", "a.png", "box:16,12,20,20", f"a lamp {n}", "0.25") for n in range(rows))
    return manifest


def _lines(rows: int) -> Iterator[str]:
    yield "| bucket answers in | entries a row | bytes an entry | pages before | a commit waits | CPU a row |"
    yield "|---|---|---|---|---|---|"
    plain = measure(rows, None)
    yield f"| no mirror | | | | | {1000 * plain.cpu / rows:.1f} ms |"
    for delay in DELAYS:
        cost = measure(rows, delay)
        per = max(1, cost.commits)
        commits = f"{cost.commits / rows:.1f} | {cost.packed / per:,.0f} | {cost.pages / per:,.0f}"
        waits, cpu = f"{1000 * median(cost.waited):.1f} ms", f"{1000 * cost.cpu / rows:.1f} ms"
        yield f"| {1000 * delay:.0f} ms | {commits} | {waits} | {cpu} |"


def main() -> None:
    """Print the table, or serve the bucket of one night."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=300)
    parser.add_argument("--serve", type=float)
    options = parser.parse_args()
    if options.serve is not None:
        serve(options.serve)
    else:
        for line in _lines(options.rows):
            print(line, flush=True)


if __name__ == "__main__":
    main()
