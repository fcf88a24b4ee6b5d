"""The other end of the wire, byte by byte.

A *peer* is a server on loopback that does to each connection what its *script* says.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

CERTIFICATE = Path(__file__).with_name("loopback.pem")


class Peer:
    """A real server on loopback: the other end of the wire, with its say over every byte."""

    def __init__(self) -> None:
        self.heads: list[str] = []
        """The head of each request that was read."""
        self.connections = 0
        self.port = 0
        self.tls = False

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    async def head(self, reader: asyncio.StreamReader) -> str:
        """Read one request's head."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        self.heads.append(head)
        return head

    async def request(self, reader: asyncio.StreamReader) -> str:
        """Read one whole request and return its head."""
        head = await self.head(reader)
        for line in head.lower().split("\r\n"):
            if line.startswith("content-length:"):
                await reader.readexactly(int(line.partition(":")[2]))
        return head


Script = Callable[[Peer, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def reset(writer: asyncio.StreamWriter) -> None:
    """Close with RST instead of FIN."""
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def answer(body: bytes = b"{}", status: str = "200 OK", head: str = "") -> bytes:
    """Return a whole HTTP answer."""
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{head}\r\n".encode() + body


@pytest.fixture
async def listen() -> AsyncIterator[Callable[..., Awaitable[Peer]]]:
    """Start a peer that follows a script for each connection."""
    async with AsyncExitStack() as stack:

        async def start(script: Script, *, tls: bool = False) -> Peer:
            peer = Peer()

            async def meet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                peer.connections += 1
                try:
                    await script(peer, reader, writer)
                except (OSError, asyncio.IncompleteReadError):
                    pass
                finally:
                    writer.close()

            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH) if tls else None
            if context is not None:
                context.load_cert_chain(CERTIFICATE)
            server = await asyncio.start_server(meet, "127.0.0.1", 0, ssl=context)
            stack.callback(server.close)
            peer.port, peer.tls = server.sockets[0].getsockname()[1], tls
            return peer

        yield start
