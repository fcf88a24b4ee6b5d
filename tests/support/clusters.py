"""A cluster of dask on loopback: a real scheduler and real workers, which a test may kill."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from itertools import count
from typing import TYPE_CHECKING, Any

import anyio

from tests.support.bounds import HANGS
from tests.support.ports import find_free_port

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

LOOK = 0.05
PRELOAD = "batchfill.workers.preload"


class ClusterServer:
    """Starts and kills the processes of one cluster."""

    def __init__(
        self, folder: Path, environment: Mapping[str, str], *, failures: int = 1, protocol: str = "tcp"
    ) -> None:
        """*folder* gets what they say; *environment*: variables that they have besides those of the tests.

        *failures*: workers that a task may take along before it is given up, less one. *protocol*: dask's.
        """
        self.log = folder / "cluster.log"
        self.address = f"{protocol}://127.0.0.1:{find_free_port()}"
        self.scheduler = 0
        self.workers: dict[str, int] = {}
        """Their numbers by their names, the oldest first."""
        self._names = count(1)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.support.cluster_process", str(failures)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                # Forks of a process with threads would be unsound.
                env={**os.environ, **environment, "OPENBLAS_NUM_THREADS": "1", "TMPDIR": str(folder)},
                cwd=folder,
                start_new_session=True,
            )

    async def have(self, workers: int, *, preload: str = PRELOAD, software: str = "") -> None:
        """Return once it has a scheduler, and so many workers."""
        if not self.scheduler:
            self.scheduler = self._fork("scheduler", self.address)
        while len(self.workers) > workers:
            self.kill_worker()
        while len(self.workers) < workers:
            name = f"w{next(self._names)}"
            self.workers[name] = self._fork("worker", name, self.address, preload, software)
        await self._see_workers()

    def text_file(self, name: str) -> Path:
        """Return a file with words in it, which its workers see."""
        path = self.log.parent / name
        path.write_text("no picture", "utf-8")
        return path

    def kill_worker(self) -> None:
        """Kill the oldest worker."""
        _kill(self.workers.pop(next(iter(self.workers))))

    def kill_workers(self) -> None:
        """Kill all workers."""
        while self.workers:
            self.kill_worker()

    def kill_scheduler(self) -> None:
        """Kill the scheduler, and with it what its workers are good for."""
        _kill(self.scheduler)
        self.kill_workers()
        self.scheduler = 0

    def close(self) -> None:
        """End all of it."""
        self._process.kill()
        for pid in filter(None, [self.scheduler, *self.workers.values()]):
            _kill(pid)
        self._process.communicate()

    def _fork(self, *order: Any) -> int:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(order).encode() + b"\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    async def _see_workers(self) -> None:
        """Return once the scheduler knows these workers and no others: it hears of a death a moment later."""
        import distributed

        found = await distributed.Client(self.address, asynchronous=True, set_as_default=False, timeout=HANGS)
        async with found as client:
            while True:
                workers = (await client.scheduler.identity())["workers"].values()
                if {worker["name"] for worker in workers} == self.workers.keys():
                    return
                await anyio.sleep(LOOK)


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
