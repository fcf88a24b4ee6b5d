"""What is between a batch and its provider, and next to it.

An *origin* serves every request with one handler. *Elsewhere* is an origin that is not the provider's.
A *gateway* passes calls on and changes the answers.
"""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import ClientSession, web

from batchfill.emulator.listener import serve_app

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from aiohttp import ClientResponse

    from batchfill.emulator.emulator_server import EmulatorServer


class Elsewhere:
    """An origin that is not the provider's: it notes what it is asked, and with what token."""

    def __init__(self) -> None:
        self.base = ""
        self.asked: list[str] = []
        """The paths asked for."""
        self.tokens: list[str] = []
        """The Authorization headers that came, of any scheme."""

    async def meet(self, request: web.Request) -> web.Response:
        """Answer every request as a service does that has no such page."""
        self.asked.append(request.path)
        self.tokens += request.headers.getall("Authorization", [])
        return web.json_response({"detail": "Not found."}, status=404)


@asynccontextmanager
async def open_origins() -> AsyncIterator[Callable[..., Awaitable[str]]]:
    """Serve origins until the context ends; see `origin`."""
    async with AsyncExitStack() as stack:

        async def serve(handler: Any, port: int = 0) -> str:
            app = web.Application()
            app.router.add_route("*", "/{path:.*}", handler)
            served, stop = await serve_app(app, "127.0.0.1", port)
            stack.push_async_callback(stop)
            return served

        yield serve


@pytest.fixture
async def origin() -> AsyncIterator[Callable[..., Awaitable[str]]]:
    """`await origin(handler)` serves every request with it, at any port or the one given; returns where."""
    async with open_origins() as serve:
        yield serve


@pytest.fixture
async def elsewhere(origin: Callable[..., Awaitable[str]]) -> Elsewhere:
    """A second origin, which must not be shown a token."""
    found = Elsewhere()
    found.base = await origin(found.meet)
    return found


@asynccontextmanager
async def forward(
    request: web.Request, provider: EmulatorServer, onward: ClientSession
) -> AsyncIterator[ClientResponse]:
    """Pass a call on to *provider* with its token and its body; gives the answer."""
    kept = {n: v for n, v in request.headers.items() if n in ("Authorization", "Content-Type")}
    url = provider.base.removesuffix("/v1") + request.path_qs
    async with onward.request(request.method, url, data=await request.read(), headers=kept) as answer:
        yield answer


async def pass_on(
    request: web.Request, provider: EmulatorServer, onward: ClientSession, change: Callable[[str], str]
) -> web.Response:
    """Pass a call on to *provider*; answer what it answers, with its text edited by *change*."""
    async with forward(request, provider, onward) as answer:
        text = change(await answer.text())
        return web.Response(status=answer.status, text=text, content_type=answer.content_type)


@pytest.fixture
async def gateway(
    origin: Callable[..., Awaitable[str]],
) -> AsyncIterator[Callable[..., Awaitable[str]]]:
    """`await gateway(provider, change)` passes calls on; *change* edits the text of each answer."""
    async with ClientSession() as onward:

        async def open_(provider: EmulatorServer, change: Callable[[str], str]) -> str:
            async def hand_on(request: web.Request) -> web.Response:
                return await pass_on(request, provider, onward, change)

            return await origin(hand_on) + "/v1"

        yield open_
