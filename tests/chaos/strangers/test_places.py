"""Where outputs may come from: nowhere near the user, by whatever name, and never without end."""

from __future__ import annotations

import asyncio
import gzip
import socket
import ssl
import zlib
from typing import TYPE_CHECKING, Any

import pytest

from batchfill.errors import OutputRefused, TransientError
from batchfill.providers import downloads as downloads_module
from batchfill.providers.downloads import OutputClient, OutputPolicy
from batchfill.providers.transport import Transport

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    Peer = Callable[..., Awaitable[str]]

MIB = 2**20


async def outputs_over(transport: Transport, **options: Any) -> AsyncIterator[OutputClient]:
    yield OutputClient(transport, OutputPolicy(**options))
    await transport.aclose()


@pytest.fixture
async def far() -> AsyncIterator[OutputClient]:
    """Outputs of a provider in the open internet."""
    transport = Transport(public_only=True, tls=ssl.create_default_context())
    async for outputs in outputs_over(transport, allow_private=False, allow_http=False):
        yield outputs


@pytest.fixture
async def near() -> AsyncIterator[OutputClient]:
    """Outputs of a provider on this machine, of a MiB at most."""
    async for outputs in outputs_over(Transport(), allow_private=True, allow_http=True, largest=MIB):
        yield outputs


async def fetched(outputs: OutputClient, url: str) -> int:
    async with outputs.fetch(url) as download:
        return sum([len(chunk) async for chunk in download.chunks()])


# Names of this machine and its neighbours


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "0",
        "localhost",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "127。0。0。1",
        "user:password@127.0.0.1",
        "public.test@127.0.0.1",
        "inside.test",
        "both.test",
    ],
)
async def test_a_far_provider_sends_nobody_to_this_machine(
    far: OutputClient, monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    met: list[object] = []
    server = await asyncio.start_server(lambda *ends: met.append(ends), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    real = socket.getaddrinfo

    def named(name: Any, *rest: Any, **options: Any) -> Any:
        # The names of the test lead to this machine, as a provider's own name server may say.
        return real("127.0.0.1" if str(name).endswith(".test") else name, *rest, **options)

    monkeypatch.setattr(socket, "getaddrinfo", named)
    async with server:
        with pytest.raises(OutputRefused) as caught:
            await fetched(far, f"https://{host}:{port}/out-0.webp")
    assert met == []
    assert str(caught.value).isprintable()


# What comes without end


def chunked(piece: bytes, head: str = "") -> Callable[[asyncio.StreamWriter], Awaitable[None]]:
    """Return a script that sends *piece* for ever."""

    async def script(writer: asyncio.StreamWriter) -> None:
        writer.write(f"HTTP/1.1 200 OK\r\n{head}Transfer-Encoding: chunked\r\n\r\n".encode())
        while True:
            writer.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            await writer.drain()
            # A peer that is heard by nobody any more is to notice it.
            await asyncio.sleep(0)

    return script


def sent(body: bytes, head: str = "") -> Callable[[asyncio.StreamWriter], Awaitable[None]]:
    """Return a script that sends *body* once."""

    async def script(writer: asyncio.StreamWriter) -> None:
        writer.write(f"HTTP/1.1 200 OK\r\n{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        await writer.drain()

    return script


async def test_an_output_without_end_is_refused_at_the_bound(near: OutputClient, peer: Peer) -> None:
    with pytest.raises(OutputRefused, match="larger than 1 MiB"):
        await fetched(near, await peer(chunked(b"x" * 65536)))


@pytest.mark.parametrize(
    ("packed", "coding"),
    [(gzip.compress(bytes(8 * MIB)), "gzip"), (zlib.compress(bytes(8 * MIB)), "deflate")],
    ids=["gzip", "deflate"],
)
async def test_an_output_that_unpacks_beyond_the_bound_is_refused(
    near: OutputClient, peer: Peer, packed: bytes, coding: str
) -> None:
    with pytest.raises(OutputRefused, match="larger than 1 MiB"):
        await fetched(near, await peer(sent(packed, f"Content-Encoding: {coding}\r\n")))


@pytest.mark.parametrize("coding", ["gzip, gzip", "br", "zstd", "GZIP,deflate"])
async def test_an_output_packed_in_a_way_that_was_not_asked_for_is_not_unpacked(
    near: OutputClient, peer: Peer, coding: str
) -> None:
    twice = gzip.compress(gzip.compress(bytes(8 * MIB)))
    with pytest.raises(TransientError, match="which was not asked for"):
        await fetched(near, await peer(sent(twice, f"Content-Encoding: {coding}\r\n")))


async def test_an_output_that_unpacks_to_nothing_for_ever_ends_by_the_clock(
    near: OutputClient, peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloads_module, "LONGEST", 0.2)
    # A head of gzip whose file name never ends.
    script = chunked(b"\x1f\x8b\x08\x08" + b"x" * 100, "Content-Encoding: gzip\r\n")
    with pytest.raises(TransientError, match="took longer than"):
        await fetched(near, await peer(script))


async def test_an_output_whose_head_dribbles_ends_by_the_clock(
    near: OutputClient, peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloads_module, "LONGEST_HEAD", 0.2)

    async def script(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n")
        while True:
            writer.write(b"X")
            await writer.drain()
            await asyncio.sleep(0.01)

    with pytest.raises(TransientError, match="did not begin"):
        await fetched(near, await peer(script))


async def test_redirects_in_a_circle_are_refused(near: OutputClient, peer: Peer) -> None:
    asked: list[int] = []

    async def script(writer: asyncio.StreamWriter) -> None:
        asked.append(1)
        writer.write(b"HTTP/1.1 302 Found\r\nLocation: /again\r\nContent-Length: 1000000000\r\n\r\n")
        await writer.drain()

    with pytest.raises(OutputRefused, match="redirects more than 5 times"):
        await fetched(near, await peer(script))
    assert len(asked) == 6
