"""Looking up a name that is not worth waiting for: the end of the program does not wait for it either."""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from functools import partial
from threading import Thread
from typing import TYPE_CHECKING, Any

from aiohttp.abc import AbstractResolver, ResolveResult

if TYPE_CHECKING:
    from collections.abc import Callable


class DaemonResolver(AbstractResolver):
    """Resolves each name in a thread of its own, which is forsaken with its caller.

    The event loop's own threads are joined before the program ends, and a dead name server takes half a
    minute to be given up.
    """

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return the addresses of *host*."""
        flags = socket.AI_ADDRCONFIG
        look = partial(socket.getaddrinfo, host, port, family, socket.SOCK_STREAM, 0, flags)
        return [
            ResolveResult(
                hostname=host,
                host=address[0],
                port=address[1],
                family=kind,
                proto=proto,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for kind, _, proto, _, address in await _run_in_daemon(look)
        ]

    async def close(self) -> None:
        """Release nothing: threads end by themselves."""


async def _run_in_daemon(look: Callable[[], Any]) -> Any:
    """Return what *look* returns or raise its OSError or UnicodeError; cancelled, leave it alone."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[Any] = loop.create_future()

    def settle(set_: Callable[[Any], None], value: object) -> None:
        if not answer.done():
            set_(value)

    def work() -> None:
        try:
            found = (answer.set_result, look())
        except (OSError, UnicodeError) as error:
            found = (answer.set_exception, error)
        with suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(settle, *found)

    Thread(target=work, daemon=True).start()
    return await answer
