"""Where the page is served: at this machine's own address, and at one of its network where asked for."""

from __future__ import annotations

import errno
import socket
from contextlib import asynccontextmanager, contextmanager
from ipaddress import ip_address
from typing import TYPE_CHECKING, NamedTuple

import anyio
from aiohttp import web

from batchfill.errors import UsageError
from batchfill.review.auth import HOST, Auth
from batchfill.systems import system_words

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

LAST_ANSWERS = 2.0
"""Seconds that a server which ends gives to answers on their way."""

WRONG_HOST = (
    "--host {host}: {why}. Give an address that this machine has in a network which you trust, "
    "such as 192.168.1.20"
)


class Listener(NamedTuple):
    """One address that is listened at, and who is let in there."""

    socket: socket.socket
    auth: Auth


@contextmanager
def open_listener(address: str, port: int) -> Iterator[Listener]:
    """Listen at an IP *address*; port 0 is any free one. Raises UsageError when the port cannot be had."""
    family = socket.AF_INET6 if ip_address(address).version == 6 else socket.AF_INET
    try:
        listening = socket.create_server((address, port), family=family)
    except OSError as error:
        if error.errno == errno.EADDRNOTAVAIL:
            raise UsageError(
                WRONG_HOST.format(host=address, why="this machine has no such address")
            ) from error
        why = system_words(error)  # to which create_server adds the address
        raise UsageError(f"cannot serve on {address} port {port} ({why}): give another --port") from error
    with listening:
        yield Listener(listening, Auth(address, listening.getsockname()[1]))


@contextmanager
def open_listeners(port: int, host: str | None) -> Iterator[tuple[Listener, ...]]:
    """Listen at this machine's own address, and at *host* where it is given. Raises UsageError."""
    if host is not None:
        _refuse_host(host)
    with open_listener(HOST, port) as own:
        if host is None:
            yield (own,)
            return
        # One port for both, so that one flag names it.
        with open_listener(host, own.socket.getsockname()[1]) as shared:
            yield own, shared


@asynccontextmanager
async def serve_app(app: web.Application, listening: socket.socket) -> AsyncIterator[None]:
    """Answer with *app* what comes in."""
    runner = web.AppRunner(app, handle_signals=False, access_log=None, shutdown_timeout=LAST_ANSWERS)
    await runner.setup()
    try:
        await web.SockSite(runner, listening).start()
        yield
    finally:
        with anyio.CancelScope(shield=True):
            await runner.cleanup()


def _refuse_host(host: str) -> None:
    """Raise UsageError for what is no address at which one other device may look in."""
    if (why := _why_unfit(host)) is not None:
        raise UsageError(WRONG_HOST.format(host=f"{host:.60}", why=why))


def _why_unfit(host: str) -> str | None:
    try:
        address = ip_address(host)
    except ValueError:
        return "this is no IP address"
    if address.is_unspecified:
        return "this is every address at once"
    if address.is_loopback:
        return "this machine is served anyway"
    if address.is_global or address.is_multicast:
        return "this is an address of the open internet, and nothing is encrypted"
    return None
