"""Heads that break the rules of HTTP: what curl prints of the same bytes is read."""

from __future__ import annotations

import asyncio
import gzip
import shutil
from typing import TYPE_CHECKING

import httpx
import pytest

from batchfill.domain.token import Token
from batchfill.providers.requests import AuthorizedClient
from batchfill.providers.transport import Transport
from batchfill.providers.wire.answer_heads import mend_head
from tests.support.bounds import HANGS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.support.wire import Peer

BODY = b'{"id":"p1","status":"starting"}'
PACKED = gzip.compress(BODY)
LENGTH = b"Content-Length: %d" % len(BODY)


def head(*lines: bytes, status: bytes = b"HTTP/1.1 201 Created", end: bytes = b"\r\n") -> bytes:
    """Return the bytes of a head."""
    return end.join([status, *lines, b"", b""])


RIGHT = head(b"Server: x", b"X-Odd: a:b ,c", b"Set-Cookie: a=1", b"Set-Cookie: b=2", LENGTH)


def test_a_head_that_keeps_the_rules_stays_as_it_is() -> None:
    assert mend_head(RIGHT) == RIGHT


CHUNKED = head(b"Transfer-Encoding: chunked")
LAST = b"\r\n0\r\n\r\n"

ANSWERS = {
    "right": RIGHT + BODY,
    "line ends of LF": head(LENGTH, b"Server: x", end=b"\n") + BODY,
    "names in small letters": head(b"server: x", LENGTH.lower()) + BODY,
    "gaps around a length": head(b"Content-Length:  31 ") + BODY,
    "lengths in both letters": head(LENGTH, LENGTH.lower()) + BODY,
    "equal lengths": head(LENGTH, LENGTH) + BODY,
    "equal lengths in one field": head(b"Content-Length: 31, 31") + BODY,
    "length next to chunks": head(b"Transfer-Encoding: chunked", b"Content-Length: 7")
    + b"1f\r\n"
    + BODY
    + b"\r\n0\r\n\r\n",
    "chunks that stop": head(b"Transfer-Encoding: chunked") + b"1f\r\n" + BODY + b"\r\n",
    "chunks with an extension": head(b"Transfer-Encoding: chunked") + b"1f;a=b\r\n" + BODY + b"\r\n0\r\n\r\n",
    "chunks of capital digits": head(b"Transfer-Encoding: Chunked") + b"1F\r\n" + BODY + b"\r\n0\r\n\r\n",
    "chunks whose lines end with LF": CHUNKED + b"1f\n" + BODY + b"\n0\n\n",
    "chunks of both line ends": CHUNKED + b"a\n" + BODY[:10] + b"\r\n15\r\n" + BODY[10:] + b"\n0\r\n\n",
    "chunks of one byte": CHUNKED + b"".join(b"1\n%c\n" % byte for byte in BODY) + b"0\n\n",
    "chunks with fields behind": CHUNKED + b"1f\n" + BODY + b"\n0\nX-Sum: 1\nX-Z: 2\n\n",
    "chunks with bytes behind": CHUNKED + b"1f\r\n" + BODY + LAST + b"garbage",
    "chunks with an answer behind": CHUNKED + b"1f\r\n" + BODY + LAST + RIGHT + BODY,
    "chunks twice": head(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked")
    + b"1f\r\n"
    + BODY
    + LAST,
    "no coding for the way": head(b"Transfer-Encoding: identity", LENGTH) + BODY,
    "no coding for the way, no length": head(b"Transfer-Encoding: identity") + BODY,
    "packed for the way": head(b"Transfer-Encoding: gzip, chunked") + b"%x\r\n" % len(PACKED) + PACKED + LAST,
    "packed for the way in two fields": head(b"Transfer-Encoding: gzip", b"transfer-encoding: Chunked")
    + b"%x\r\n" % len(PACKED)
    + PACKED
    + LAST,
    "bytes behind the length": head(LENGTH) + BODY + b"garbage",
    "a line behind the length": head(LENGTH) + BODY + b"\r\n",
    "an answer behind the length": head(LENGTH) + BODY + RIGHT + BODY,
    "small letters": head(LENGTH, status=b"http/1.1 201 Created") + BODY,
    "small letters after an interim answer": head(status=b"http/1.1 100 Continue") + RIGHT + BODY,
    "a length that is too long": head(b"Content-Length: 99") + BODY,
    "no length": head(b"Server: x") + BODY,
    "no fields": head() + BODY,
    "a space in a name": head(LENGTH, b"X Powered By: PHP") + BODY,
    "a space before the colon": head(b"Content-Length : 31") + BODY,
    "no colon": head(LENGTH, b"nonsense") + BODY,
    "no name": head(LENGTH, b": nothing") + BODY,
    "a folded field": head(b"X-Long: a", b"\tb", LENGTH) + BODY,
    "a control character": head(LENGTH, b"X: a\x01\x7fb") + BODY,
    "Latin-1": head(LENGTH, b"X: \xe9\xff") + BODY,
    "no reason": head(LENGTH, status=b"HTTP/1.1 201") + BODY,
    "an odd reason": head(LENGTH, status=b"HTTP/1.1 201 \xe5\xa5\xbd") + BODY,
    "HTTP/1.0": head(LENGTH, status=b"HTTP/1.0 201 Created") + BODY,
    "an interim answer": head(status=b"HTTP/1.1 103 Early Hints") + RIGHT + BODY,
    "two interim answers": head(status=b"HTTP/1.1 100 Continue") * 2 + RIGHT + BODY,
    "a large field": head(LENGTH, b"Content-Security-Policy: " + b"x" * 90_000) + BODY,
    "many fields": head(LENGTH, *(b"X-%d: y" % n for n in range(1000))) + BODY,
}


REFUSED_BY_CURL = {"no colon", "small letters after an interim answer"}
"""By some versions of it."""


@pytest.fixture
async def answer_at(listen: Callable[..., Awaitable[Peer]]) -> Callable[[bytes], Awaitable[str]]:
    """Serve these bytes to every request, in pieces that end anywhere; return the base."""

    async def serve(content: bytes) -> str:
        async def script(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await peer.request(reader)
            for start in range(0, len(content), 4001):
                writer.write(content[start : start + 4001])
                await writer.drain()
            writer.close()

        return (await listen(script)).url

    return serve


@pytest.mark.parametrize("manner", ANSWERS)
async def test_an_answer_is_read_whatever_its_head(
    answer_at: Callable[[bytes], Awaitable[str]], manner: str
) -> None:
    base, transport = await answer_at(ANSWERS[manner]), Transport()
    try:
        client = AuthorizedClient(base, Token("r8_for_tests_only"), transport=transport, answer_timeout=60)
        answer = await client.send_request("POST", "/x", content=b"{}")
    finally:
        await transport.aclose()
    assert (answer.status, answer.body) == (201, BODY)


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl")
@pytest.mark.parametrize("manner", sorted(ANSWERS.keys() - REFUSED_BY_CURL))
async def test_curl_reads_the_same(answer_at: Callable[[bytes], Awaitable[str]], manner: str) -> None:
    """The table holds nothing that curl would not print, so that it stays a measure."""
    base = await answer_at(ANSWERS[manner])
    command = ["curl", "--silent", "--compressed", "--tr-encoding", "--noproxy", "*", "--data", "{}", base]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    printed, _ = await process.communicate()
    assert printed == BODY


async def test_each_answer_of_a_connection_that_is_kept_has_its_head_mended(
    listen: Callable[..., Awaitable[Peer]],
) -> None:
    async def script(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await peer.request(reader)
            writer.write(head(LENGTH, b"X Powered By: PHP") + BODY)
            await writer.drain()

    peer = await listen(script)
    async with httpx.AsyncClient(transport=Transport()) as client:
        for _ in range(3):
            assert (await client.get(peer.url)).content == BODY
    assert peer.connections == 1


async def test_a_connection_on_which_more_came_than_was_announced_is_not_used_again(
    listen: Callable[..., Awaitable[Peer]],
) -> None:
    async def script(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await peer.request(reader)
            writer.write(head(LENGTH) + BODY + b"HTTP/1.1 200 OK")
            await writer.drain()

    peer = await listen(script)
    async with httpx.AsyncClient(transport=Transport()) as client:
        for _ in range(3):
            answer = await client.get(peer.url)
            assert (answer.status_code, answer.content) == (201, BODY)
    assert peer.connections == 3


async def test_an_answer_without_a_body_leaves_its_connection_free(
    listen: Callable[..., Awaitable[Peer]],
) -> None:
    async def script(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await peer.request(reader)
            writer.write(head(b"ETag: 1", LENGTH, status=b"HTTP/1.1 304 Not Modified"))
            await writer.drain()

    peer = await listen(script)
    async with httpx.AsyncClient(transport=Transport()) as client:
        for method in ("GET", "HEAD", "GET"):
            answer = await client.request(method, peer.url)
            assert (answer.status_code, answer.content) == (304, b"")
    assert peer.connections == 1


async def test_a_chunk_that_makes_no_sense_ends_its_answer_though_the_connection_stays_open(
    listen: Callable[..., Awaitable[Peer]],
) -> None:
    async def script(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await peer.request(reader)
        for part in (CHUNKED + b"5\r\nhello\r\n", b"ZZ\r\nworld\r\n"):
            writer.write(part)
            await writer.drain()
        await reader.read()

    peer = await listen(script)
    async with httpx.AsyncClient(transport=Transport(), timeout=None) as client, asyncio.timeout(HANGS):
        with pytest.raises(httpx.RemoteProtocolError):
            await client.get(peer.url)
