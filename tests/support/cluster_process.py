"""A process that has imported dask, and forks a scheduler or a worker for each line of its input.

Each line is a JSON list: `["scheduler", ADDRESS]`, or `["worker", NAME, ADDRESS, PRELOAD, SOFTWARE]`. The
answer is the number of the process. Importing dask is most of what such a process costs.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from typing import Any

import dask
import distributed

from batchfill.workers import preload as preload_module


async def _schedule(address: str) -> None:
    host, _, port = address.rpartition(":")
    async with distributed.Scheduler(host=host, port=int(port), dashboard=False) as scheduler:
        await scheduler.finished()


async def _work(name: str, address: str, preload: str, software: str) -> None:
    if software:
        setattr(preload_module, "software_here", lambda: software)  # noqa: B010 - it is another's function
    async with distributed.Worker(
        address,
        name=name,
        nthreads=1,
        host=address.rpartition(":")[0],
        dashboard=False,
        preload=[preload] if preload else [],
    ) as worker:
        await worker.finished()


def _fork(kind: str, *arguments: Any) -> int:
    pid = os.fork()
    if pid:
        return pid
    os.dup2(2, 1)
    work = _schedule if kind == "scheduler" else _work
    try:
        asyncio.run(work(*arguments))
    finally:
        os._exit(0)


def main() -> None:
    """Fork until there is no more input; then all of the forks end."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    dask.config.set({"distributed.scheduler.allowed-failures": int(sys.argv[1])})
    forks = []
    for line in sys.stdin:
        forks.append(_fork(*json.loads(line)))
        print(forks[-1], flush=True)
    for pid in forks:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


if __name__ == "__main__":
    main()
