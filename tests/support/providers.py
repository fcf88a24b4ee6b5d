"""Local emulators that tests start on loopback.

*Providers* starts and stops them. They want the *TOKEN*.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from batchfill.emulator.emulator_predictions import Predictions
from batchfill.emulator.emulator_server import EmulatorServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

TOKEN = "r8_for_tests_only"


class Providers:
    """Starts local emulators, tiny and quick unless told otherwise, and stops them in the end."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._started: dict[EmulatorServer, tuple[str, dict[str, Any]]] = {}

    async def __call__(self, folder: str = "provider", **options: Any) -> EmulatorServer:
        return await self._start(folder, {"token": TOKEN, "tiny": True} | options, port=0)

    async def again(self, provider: EmulatorServer, **options: Any) -> EmulatorServer:
        """Stop *provider* and start its successor: same folder and address, these *options* changed."""
        folder, before = self._started.pop(provider)
        port = urlsplit(provider.base).port
        await provider.stop()
        return await self._start(folder, before | {"faults": None} | options, port=port or 0)

    async def stop(self) -> None:
        for provider in self._started:
            await provider.stop()

    async def _start(self, folder: str, options: dict[str, Any], port: int) -> EmulatorServer:
        provider = EmulatorServer(self._folder / folder, **options)
        self._started[provider] = (folder, options)
        await provider.start(port=port)
        return provider


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[Providers]:
    """`await service(faults=…, latency=…)` starts a provider that wants TOKEN; see Providers."""
    providers = Providers(tmp_path)
    yield providers
    await providers.stop()


@pytest.fixture
def let_go(monkeypatch: pytest.MonkeyPatch) -> Iterator[asyncio.Event]:
    """Hold back predictions and delayed answers of providers in this process until the event is set."""
    event = asyncio.Event()

    async def until(*_: object) -> None:
        await event.wait()

    async def pause(*_: object) -> bool:
        await event.wait()
        return True

    monkeypatch.setattr(Predictions, "_sleep_until", until)
    monkeypatch.setattr(EmulatorServer, "_pause_for", pause)
    yield event
    event.set()


def prompts(provider: EmulatorServer) -> list[str]:
    """Return the prompts of its predictions, in their order."""
    return [str(record.input["prompt"]) for record in provider.predictions()]
