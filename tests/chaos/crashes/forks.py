"""Processes that begin at once: forks of one that has imported everything and started nothing."""

from __future__ import annotations

import asyncio
import json
import os
import selectors
import signal
import sys
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.support.bounds import HANGS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

ROOT = Path(__file__).parents[3]

_LONGEST = 65_536


class Forks:
    """Starts processes, any number at a time."""

    def __init__(self, server: asyncio.subprocess.Process) -> None:
        self._server = server
        self._waiting: dict[int, asyncio.Future[int]] = {}
        self._begun = 0

    async def __call__(self, **task: Any) -> int:
        """Do *task* in a process of its own; return its exit code, negative for the signal that ended it."""
        assert self._server.stdin is not None
        self._begun += 1
        number = self._begun
        self._waiting[number] = asyncio.get_running_loop().create_future()
        self._server.stdin.write(json.dumps([number, task]).encode() + b"\n")
        try:
            return await self._waiting[number]
        finally:
            del self._waiting[number]

    async def listen(self) -> None:
        """Pass exit codes on, until the server ends."""
        assert self._server.stdout is not None
        async for line in self._server.stdout:
            number, code = json.loads(line)
            if number in self._waiting:
                self._waiting[number].set_result(code)
        for waiting in self._waiting.values():
            waiting.set_exception(RuntimeError("the server of forks broke down"))


@asynccontextmanager
async def open_forks(module: str) -> AsyncIterator[Forks]:
    """Start the server that is `python -m` *module*, which calls `serve`, and stop it in the end."""
    pipe = asyncio.subprocess.PIPE
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUTF8": "1"}
    server = await asyncio.create_subprocess_exec(
        sys.executable, "-m", module, stdin=pipe, stdout=pipe, env=environ, cwd=ROOT
    )
    forks = Forks(server)
    listening = asyncio.create_task(forks.listen())
    try:
        yield forks
    finally:
        assert server.stdin is not None
        server.stdin.close()
        await server.wait()
        await listening


def serve(work: Callable[..., int]) -> None:
    """Fork for every task that standard input names, and print the exit code of each; end with the input."""
    with selectors.DefaultSelector() as events:
        events.register(0, selectors.EVENT_READ)
        while True:
            for key, _ in events.select():
                if key.data is not None:
                    _bury(events, key.fd, *key.data)
                elif not _fork_all(events, work):
                    return


def _fork_all(events: selectors.BaseSelector, work: Callable[..., int]) -> bool:
    """Fork for every task that has arrived; False when there will be no more."""
    arrived = os.read(0, _LONGEST)
    while arrived and not arrived.endswith(b"\n"):
        arrived += os.read(0, _LONGEST)
    for line in arrived.splitlines():
        number, task = json.loads(line)
        # Its end is the end of a pipe that only the fork writes to: no signal is needed, nor a thread.
        death, life = os.pipe()
        pid = os.fork()
        if pid == 0:
            events.close()
            _become(work, task)
        os.close(life)
        events.register(death, selectors.EVENT_READ, (number, pid))
    return bool(arrived)


def _become(work: Callable[..., int], task: dict[str, Any]) -> None:
    code = 70
    signal.alarm(HANGS)
    try:
        code = work(**task)
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stderr.flush()
        os._exit(code)


def _bury(events: selectors.BaseSelector, death: int, number: int, pid: int) -> None:
    events.unregister(death)
    os.close(death)
    _, status = os.waitpid(pid, 0)
    print(json.dumps([number, os.waitstatus_to_exitcode(status)]), flush=True)
