from __future__ import annotations

import asyncio
import gc
import socket
from urllib.parse import urlsplit

from aiohttp import web

from batchfill.emulator.listener import serve_app


async def test_who_connects_while_it_stops_is_not_left_behind() -> None:
    origin, stop = await serve_app(web.Application(), "127.0.0.1", 0)
    port = urlsplit(origin).port
    assert port
    go = asyncio.Event()

    async def stop_then() -> None:
        await go.wait()
        await stop()

    stopping = asyncio.ensure_future(stop_then())
    await asyncio.sleep(0)
    with socket.create_connection(("127.0.0.1", port)) as client:
        await asyncio.sleep(0)
        # In this turn of the loop the connection is accepted, in the next one the origin stops.
        go.set()
        await stopping
        client.setblocking(True)
        client.settimeout(30)
        assert client.recv(1) == b""
    gc.collect()  # what was never closed warns here, and a warning fails the test


async def test_a_port_that_is_taken_makes_way_for_the_next() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        origin, stop = await serve_app(web.Application(), "127.0.0.1", port, 0)
        assert urlsplit(origin).port not in (0, port)
        await stop()
