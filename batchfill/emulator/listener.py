"""One origin: an application that is served at an address, and stops so that no connection is left behind."""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from typing import TYPE_CHECKING

from aiohttp import web

from batchfill.systems import here

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

_TURNS = 3
"""Of the event loop, within which asyncio has made the connections that it accepted."""


async def serve_app(
    app: web.Application, host: str, *ports: int
) -> tuple[str, Callable[[], Awaitable[None]]]:
    """Serve *app* on the first of *ports* that can be had, 0 being any free one.

    Returns the origin (`http://127.0.0.1:PORT`) and what stops it. Raises OSError.
    """
    listening = _listen_on(host, *ports)
    runner = web.AppRunner(app, handle_signals=False, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    await web.SockSite(runner, listening).start()
    shown = f"[{host}]" if ":" in host else host
    port = listening.getsockname()[1]

    async def stop() -> None:
        loop = asyncio.get_running_loop()
        # A connection that is accepted while the server closes is neither served nor closed: no
        # more are accepted first, then those that were are made, and then all that are known are closed.
        here().stop_accepting(loop, listening)
        for _ in range(_TURNS):
            await asyncio.sleep(0)
        await runner.cleanup()

    return f"http://{shown}:{port}", stop


def _listen_on(host: str, *ports: int) -> socket.socket:
    for port in ports[:-1]:
        with suppress(OSError):
            return _bind_port(host, port)
    return _bind_port(host, ports[-1])


def _bind_port(host: str, port: int) -> socket.socket:
    family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    listening = socket.create_server(address[:2], family=family)
    listening.setblocking(False)
    return listening
