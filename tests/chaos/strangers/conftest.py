"""Strangers: what stands between a batch and its provider, and peers that follow no protocol."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import ClientSession, web

from tests.support.gateways import forward
from tests.support.providers import TOKEN

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from batchfill.batch import Batch
    from batchfill.emulator.emulator_server import EmulatorServer
    from tests.support.listeners import Ears
    from tests.support.wire import Peer

    Alter = Callable[[str, dict[str, Any]], Any]


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
            async def hand_on(request: web.Request) -> web.StreamResponse:
                async with forward(request, provider, onward) as answer:
                    altered = alter(_call(request), await answer.json(content_type=None))
                    if isinstance(altered, web.StreamResponse):
                        return altered
                    text = altered if isinstance(altered, str) else json.dumps(altered)
                    return web.Response(status=answer.status, text=text, content_type="application/json")

            return await origin(hand_on) + "/v1"

        yield open_


@pytest.fixture
def peer(listen: Callable[..., Awaitable[Peer]]) -> Callable[..., Awaitable[str]]:
    """`await peer(script)` has *script* answer each request it reads the head of; returns the address."""

    async def start(script: Callable[[asyncio.StreamWriter], Awaitable[None]]) -> str:
        async def meet(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await peer.head(reader)
            await script(writer)

        return (await listen(meet)).url

    return start


@pytest.fixture
def harmless(tmp_path: Path, ears: Ears) -> Callable[[Batch], None]:
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
            assert path.is_dir() or TOKEN.encode() not in path.read_bytes(), path
        for text in [*ears.texts, *(night.folder / "run.log").read_text("utf-8").splitlines()]:
            assert text.isprintable(), text
        for result in night.results():
            assert (result.error or "").isprintable(), result

    return check
