"""Processes that can be killed; what they say goes into files, where the judge looks for the token."""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.bounds import HANGS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ROOT = Path(__file__).parents[3]


class Hung(Exception):
    """A process did not say what it should have, or did not end."""


class Life:
    """One process, from its start to its death."""

    def __init__(self, process: asyncio.subprocess.Process, said: Path) -> None:
        self._process = process
        self._said = said

    @property
    def over(self) -> bool:
        """Whether it has ended."""
        return self._process.returncode is not None

    def said(self) -> str:
        """Return what it has said so far, on either stream."""
        return self._said.read_text("utf-8", errors="replace")

    async def says(self, text: str) -> None:
        """Return when it has said *text*, or has ended. Raises Hung."""
        async with _patience(f"{self._said}: never said {text!r}"):
            # A file tells nobody that it has grown.
            while text not in self.said() and not self.over:  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    async def wait(self, seconds: float) -> None:
        """Return after so many seconds, or when it has ended."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._process.wait(), seconds)

    async def ended(self) -> int:
        """Return its exit code, once it has ended by itself. Raises Hung."""
        async with _patience(f"{self._said}: did not end"):
            return await self._process.wait()

    def signal(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        with suppress(ProcessLookupError):
            self._process.send_signal(number)

    async def kill(self) -> bool:
        """Kill it, and return whether that was its end: it may have ended by itself before."""
        with suppress(ProcessLookupError):
            self._process.kill()
        return await self._process.wait() < 0


class Processes:
    """Starts Python modules in one folder, and leaves none of them running."""

    def __init__(self, folder: Path, token: str, **environ: str) -> None:
        """*environ*: what the processes find in their environment in addition."""
        self._folder = folder
        self._said = folder / "said"
        self._said.mkdir(parents=True)
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
        self._environ = {**kept, "PYTHONPATH": str(ROOT), "PYTHONUTF8": "1", "BATCHFILL_TOKEN": token}
        self._environ |= environ
        self._started: list[Life] = []

    async def start(self, *arguments: str) -> Life:
        """Start `python -m` with *arguments*."""
        said = self._said / f"{len(self._started):04}-{arguments[0]}.txt"
        with said.open("wb") as stream:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                *arguments,
                cwd=self._folder,
                env=self._environ,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=stream,
                stderr=asyncio.subprocess.STDOUT,
            )
        self._started.append(Life(process, said))
        return self._started[-1]

    async def stop(self) -> None:
        """Kill what still runs."""
        for life in self._started:
            await life.kill()


@asynccontextmanager
async def _patience(complaint: str) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(HANGS):
            yield
    except TimeoutError:
        raise Hung(complaint) from None
