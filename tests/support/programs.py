"""The command line in processes of its own, which are forks mostly.

A *Program* starts commands in the user's folder. A *Running* process has not ended; *Ran* tells how it ended.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from tests.support.bounds import HANGS, STRAGGLES
from tests.support.fork_server import DEVNULL, PIPE, Fork, ForkServer
from tests.support.providers import TOKEN
from tests.support.timings import QUICK

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping

    from tests.support.desk import Desk

HURRIED = f"""
from batchfill.settings import timings
timings.DEFAULT = timings.{QUICK!r}
from batchfill.cli.app import main
main()
"""
"""What runs the command line with those waits cut short."""


class Ran(NamedTuple):
    """How a process ended."""

    code: int
    out: str
    err: str


class Running:
    """A process that runs."""

    def __init__(self, process: asyncio.subprocess.Process | Fork) -> None:
        self._process = process
        self._said = ""

    @property
    def pid(self) -> int:
        """The process's number."""
        return self._process.pid

    async def says(self, text: str) -> None:
        """Return when a line of its standard error holds *text*."""
        assert self._process.stderr is not None
        line = ""
        while text not in line:
            async with asyncio.timeout(HANGS):
                line = (await self._process.stderr.readline()).decode()
            self._said += line
            assert line, f"it ended without a word of {text!r}: {self._said}"

    async def prints(self) -> str:
        """Return the next line of its standard output."""
        assert self._process.stdout is not None
        return (await self._process.stdout.readline()).decode()

    async def meanwhile(self, event: Awaitable[Any]) -> None:
        """Return when *event* has happened, which it must do before the process ends."""
        happened, ended = asyncio.ensure_future(event), asyncio.ensure_future(self._process.wait())
        await asyncio.wait({happened, ended}, timeout=HANGS, return_when=asyncio.FIRST_COMPLETED)
        # What it did last may still be on its way.
        await asyncio.wait({happened}, timeout=STRAGGLES)
        in_time = happened.done()
        for waiting in (happened, ended):
            waiting.cancel()
        if not in_time:
            self.signal(signal.SIGKILL)
            pytest.fail(f"it never happened: {await self.ended()}")
        happened.result()

    def signal(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        with suppress(ProcessLookupError):
            self._process.send_signal(number)

    async def ended(self) -> Ran:
        """Return when it has ended."""
        ending = asyncio.ensure_future(self._process.communicate())
        hangs = not (await asyncio.wait({ending}, timeout=HANGS))[0]
        if hangs:
            self.signal(signal.SIGKILL)
        out, err = await ending
        assert not hangs, f"it did not end: {self._said}{(err or b'').decode()}"
        assert self._process.returncode is not None
        return Ran(self._process.returncode, (out or b"").decode(), self._said + (err or b"").decode())


class Program:
    """The command line, in processes of its own that begin in the user's folder."""

    def __init__(self, folder: Path, server: ForkServer | None = None) -> None:
        self.folder = folder
        self.hurry = True
        """Whether `run` and `cancel` cut the waits short that only a service far away needs."""
        self.environ = make_environ()
        self._server = server
        self._started: list[Running] = []

    async def start(
        self, *arguments: object, preexec_fn: Callable[[], None] | None = None, **options: Any
    ) -> Running:
        """Start a command; *options* are those of ForkServer.fork.

        It gets an interpreter of its own where there is no server, and where *preexec_fn* or a variable
        changes how one starts.
        """
        words = [str(argument) for argument in arguments]
        hurried = self.hurry and words[:1] and words[0] in ("run", "cancel")
        if (
            self._server is None
            or preexec_fn is not None
            or _pythons(self.environ) != _pythons(make_environ())
        ):
            program = ["-c", HURRIED] if hurried else ["-m", "batchfill"]
            return await self._start(*program, *words, preexec_fn=preexec_fn, **options)
        fork = await self._server.fork(*words, waits=QUICK if hurried else None, **(self._usual() | options))
        return self._running(fork)

    async def python(self, *arguments: str) -> Ran:
        """Run Python with other arguments than `-m batchfill` to its end."""
        return await (await self._start(*arguments)).ended()

    async def _start(self, *arguments: str, **options: Any) -> Running:
        """Start Python."""
        options = self._usual() | options
        return self._running(await asyncio.create_subprocess_exec(sys.executable, *arguments, **options))

    def _usual(self) -> dict[str, Any]:
        ends = {"stdin": DEVNULL, "stdout": PIPE, "stderr": PIPE}
        return {**ends, "cwd": self.folder, "env": self.environ}

    def _running(self, process: asyncio.subprocess.Process | Fork) -> Running:
        self._started.append(Running(process))
        return self._started[-1]

    async def __call__(self, *arguments: object, **options: Any) -> Ran:
        """Run a command to its end."""
        return await (await self.start(*arguments, **options)).ended()

    async def stop(self) -> None:
        for running in self._started:
            running.signal(signal.SIGKILL)
            with suppress(ValueError):
                await running.ended()


def make_environ() -> dict[str, str]:
    """Return the environment of a user who has a token."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
    root = str(Path(__file__).parents[2])
    return kept | {"PYTHONPATH": root, "PYTHONUTF8": "1", "TERM": "xterm", "BATCHFILL_TOKEN": TOKEN}


def _pythons(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that an interpreter reads as it starts."""
    return {name: value for name, value in environ.items() if name.startswith("PYTHON")}


@pytest.fixture(scope="session")
def fork_server() -> Iterator[ForkServer]:
    """The fork server of these tests."""
    server = ForkServer(make_environ())
    yield server
    server.close()


@pytest.fixture
async def batchfill(desk: Desk, fork_server: ForkServer) -> AsyncIterator[Program]:
    """`await batchfill("check", "night.csv")` runs the command line in a process; see Program."""
    program = Program(desk.folder, fork_server)
    yield program
    await program.stop()
