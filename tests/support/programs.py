"""The command line in processes of its own.

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
from tests.support.providers import TOKEN
from tests.support.timings import QUICK

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable

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

    def __init__(self, process: asyncio.subprocess.Process) -> None:
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

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.hurry = True
        """Whether `run` and `cancel` cut the waits short that only a service far away needs."""
        self._started: list[Running] = []
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
        root = str(Path(__file__).parents[2])
        usual = {"PYTHONPATH": root, "PYTHONUTF8": "1", "TERM": "xterm", "BATCHFILL_TOKEN": TOKEN}
        self.environ = kept | usual

    async def start(self, *arguments: object, **options: Any) -> Running:
        """Start a command; *options* are those of asyncio.create_subprocess_exec."""
        program = ["-c", HURRIED] if self.hurry and arguments[0] in ("run", "cancel") else ["-m", "batchfill"]
        return await self._start(*program, *map(str, arguments), **options)

    async def python(self, *arguments: str) -> Ran:
        """Run Python with other arguments than `-m batchfill` to its end."""
        return await (await self._start(*arguments)).ended()

    async def _start(self, *arguments: str, **options: Any) -> Running:
        pipe = asyncio.subprocess.PIPE
        usual: dict[str, Any] = {"stdin": asyncio.subprocess.DEVNULL, "stdout": pipe, "stderr": pipe}
        usual |= {"cwd": self.folder, "env": self.environ}
        process = await asyncio.create_subprocess_exec(sys.executable, *arguments, **(usual | options))
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


@pytest.fixture
async def batchfill(desk: Desk) -> AsyncIterator[Program]:
    """`await batchfill("check", "night.csv")` runs the command line in a process; see Program."""
    program = Program(desk.folder)
    yield program
    await program.stop()
