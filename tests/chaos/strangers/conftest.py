"""Strangers: what stands between a batch and its provider, and peers that follow no protocol."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import ClientSession, web

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from batchfill.batch import Batch
    from batchfill.domain.progress import LogEvent
    from batchfill.emulator.emulator_server import EmulatorServer

    Alter = Callable[[str, dict[str, Any]], Any]

TOKEN = b"r8_for_tests_only"


def _call(request: web.Request) -> str:
    if request.method == "POST":
        return "cancel" if request.path.endswith("/cancel") else "create"
    place = request.path.removeprefix("/v1/")
    return "get" if place.startswith("predictions/") else {"predictions": "list"}.get(place, place)


@pytest.fixture
async def between(origin: Callable[..., Awaitable[str]]) -> AsyncIterator[Callable[..., Awaitable[str]]]:
    """`await between(provider, alter)` passes calls on and lets *alter* have its way with the answers.

    *alter* gets the name of the call and the answer's JSON; it returns what is answered: JSON, text, or a
    whole response.
    """
    async with ClientSession() as onward:

        async def open_(provider: EmulatorServer, alter: Alter) -> str:
            root = provider.base.removesuffix("/v1")

            async def hand_on(request: web.Request) -> web.StreamResponse:
                kept = {n: v for n, v in request.headers.items() if n in ("Authorization", "Content-Type")}
                body = await request.read()
                url = root + request.path_qs
                async with onward.request(request.method, url, data=body, headers=kept) as answer:
                    altered = alter(_call(request), await answer.json(content_type=None))
                    if isinstance(altered, web.StreamResponse):
                        return altered
                    text = altered if isinstance(altered, str) else json.dumps(altered)
                    return web.Response(status=answer.status, text=text, content_type="application/json")

            return await origin(hand_on) + "/v1"

        yield open_


@pytest.fixture
async def peer() -> AsyncIterator[Callable[..., Awaitable[str]]]:
    """`await peer(script)` has *script* answer each request it reads the head of; returns the address."""
    async with AsyncExitStack() as stack:

        async def start(script: Callable[[asyncio.StreamWriter], Awaitable[None]]) -> str:
            async def meet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                try:
                    await reader.readuntil(b"\r\n\r\n")
                    await script(writer)
                except (OSError, asyncio.IncompleteReadError):
                    pass
                finally:
                    writer.close()

            server = await asyncio.start_server(meet, "127.0.0.1", 0)
            stack.callback(server.close)
            return f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"

        yield start


class Ear:
    """Hears all that a run says."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def notice(self, notice: LogEvent) -> None:
        """Remember what was said."""
        self.texts.append(notice.text)

    def progress(self, progress: object) -> None:
        """Not listened to."""


@pytest.fixture
def ear() -> Ear:
    """`night.run(watch=ear)`; see Ear."""
    return Ear()


@pytest.fixture
def harmless(tmp_path: Path, ear: Ear) -> Callable[[Batch], None]:
    """Check that a run wrote into its own folder only, no token anywhere, and said nothing but words."""

    def check(night: Batch) -> None:
        beside = {path.name for path in night.folder.parent.iterdir()}
        assert beside <= {"images", "masks", "night.csv", "night.yaml", night.folder.name}
        own = {path.name for path in night.folder.iterdir()}
        assert own <= {
            "outputs",
            "tmp",
            "suspect",
            "run.log",
            "paid.jsonl",
            "results.csv",
            "inbox",
            "lock",
        } | {name for name in own if name.startswith("ledger.sqlite")}
        for path in night.folder.rglob("*"):
            assert path.is_dir() or TOKEN not in path.read_bytes(), path
        for text in [*ear.texts, *(night.folder / "run.log").read_text("utf-8").splitlines()]:
            assert text.isprintable(), text
        for result in night.results():
            assert (result.error or "").isprintable(), result

    return check
