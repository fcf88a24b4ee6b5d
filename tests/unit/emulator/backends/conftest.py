"""A front before fake containers, and a client of it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from batchfill.emulator.backends.cog_backend import CogBackend
from batchfill.emulator.backends.pool_addresses import PoolAddresses
from batchfill.emulator.emulator_server import EmulatorServer
from tests.support.bounds import HANGS
from tests.support.cogs import PICTURE, QUICK_POOL, FakeCog

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from batchfill.emulator.journal import PredictionRecord

MODEL = "own/fill"
INPUTS: dict[str, Any] = {"image": PICTURE, "mask": PICTURE, "prompt": "a vase"}


class Front:
    """`batchfill serve --behind cog` in this process; `said` has its lines."""

    def __init__(
        self, folder: Path, cogs: tuple[FakeCog | str, ...], file: Path | None, **options: Any
    ) -> None:
        self.said: list[str] = []
        self._news = asyncio.Event()
        at = [cog if isinstance(cog, str) else cog.at for cog in cogs]
        addresses = PoolAddresses(at, file)

        def behind(sources: Any, outputs: Any) -> CogBackend:
            self.backend = CogBackend(
                addresses, sources, outputs, tell=self._say, timings=options.get("timings", QUICK_POOL)
            )
            return self.backend

        self.server = EmulatorServer(folder, behind=behind)
        self.http = httpx.AsyncClient(timeout=HANGS)

    async def create(self, prompt: str = "a vase", sender: str = "one", **more: Any) -> httpx.Response:
        """Send a create, again and again where none is taken yet."""
        while (answer := await self.create_once(prompt, sender, **more)).status_code == 429:
            pass
        return answer

    async def create_once(self, prompt: str = "a vase", sender: str = "one", **more: Any) -> httpx.Response:
        return await self.http.post(
            f"{self.server.base}/models/{MODEL}/predictions",
            json={"input": {**INPUTS, "prompt": prompt, **more}},
            headers={"User-Agent": sender},
        )

    async def created(self, prompt: str = "a vase", sender: str = "one", **more: Any) -> str:
        """Create a prediction and return its id."""
        answer = await self.create(prompt, sender, **more)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    async def ended(self, id_: str) -> PredictionRecord:
        return await self.server.wait(id_, HANGS)

    async def filled(self, prompt: str = "a vase", **more: Any) -> PredictionRecord:
        """Create a prediction and return it when it has ended."""
        return await self.ended(await self.created(prompt, **more))

    def _say(self, line: str) -> None:
        self.said.append(line)
        self._news.set()

    async def heard(self, *words: str) -> str:
        """Return the first line that holds all of *words*, once it was said."""
        async with asyncio.timeout(HANGS):
            while not (lines := [line for line in self.said if all(word in line for word in words)]):
                self._news.clear()
                await self._news.wait()
        return lines[0]

    async def pool(self) -> dict[str, Any]:
        """Return what `GET /pool` tells."""
        origin = self.server.base.removesuffix("/v1")
        return dict((await self.http.get(f"{origin}/pool")).json())

    async def stop(self) -> None:
        await self.http.aclose()
        await self.server.stop()


@pytest.fixture
async def front(tmp_path: Path) -> AsyncIterator[Callable[..., Awaitable[Front]]]:
    """`await front(cog, cog)` serves before containers: fakes, or addresses."""
    started: list[Front] = []

    async def begin(
        *cogs: FakeCog | str, folder: str = "front", file: Path | None = None, **more: Any
    ) -> Front:
        made = Front(tmp_path / folder, cogs, file, **more)
        started.append(made)
        await made.server.start()
        return made

    yield begin
    for one in started:
        await one.stop()
