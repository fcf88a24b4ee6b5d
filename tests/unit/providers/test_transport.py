"""What each kind of failure is reported as: whether a create can have been taken hangs on it."""

from __future__ import annotations

import asyncio
import random
import socket
import ssl
from typing import TYPE_CHECKING

import anyio
import httpx
import pytest

from batchfill.errors import OutputRefused
from batchfill.providers.transport import PAYS, Transport
from tests.support.wire import CERTIFICATE, Peer, answer, reset

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Listen = Callable[..., Awaitable[Peer]]

BIG = b"x" * (24 * 2**20)
"""More than the sockets' buffers on both sides can take."""

PATIENT = httpx.Timeout(20)


async def post(
    transport: Transport, url: str, body: bytes = b"{}", timeout: httpx.Timeout = PATIENT
) -> httpx.Response:
    client = httpx.AsyncClient(transport=transport, timeout=timeout)
    return await client.post(url, content=body)


def unused_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


async def test_a_refused_connection_is_a_connect_error(transport: Transport) -> None:
    port = unused_port()
    with pytest.raises(httpx.ConnectError) as refused:
        await post(transport, f"http://127.0.0.1:{port}/")
    assert str(refused.value) == f"cannot connect to 127.0.0.1:{port}: Connection refused"


async def test_a_name_that_does_not_exist_is_a_connect_error(
    transport: Transport, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(httpx.ConnectError) as unknown_name:
        await post(transport, "http://nowhere.test/")
    assert str(unknown_name.value) == "cannot connect to nowhere.test:80: Name or service not known"


async def test_a_server_without_tls_is_a_connect_error(transport: Transport, listen: Listen) -> None:
    async def talk_plainly(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(answer(status="400 Bad Request"))

    peer = await listen(talk_plainly)
    with pytest.raises(httpx.ConnectError) as plain:
        await post(transport, f"https://127.0.0.1:{peer.port}/")
    assert str(plain.value) == (
        f"cannot connect to 127.0.0.1:{peer.port}: what answers there speaks no TLS: is it http?"
    )


async def test_a_certificate_that_nobody_vouches_for_is_a_connect_error(listen: Listen) -> None:
    peer = await listen(take_and_answer, tls=True)
    transport = Transport()
    with pytest.raises(httpx.ConnectError, match=r"(?i)certificate"):
        await post(transport, peer.url)
    await transport.aclose()
    assert peer.heads == []


async def test_a_handshake_that_stalls_is_a_connect_timeout(transport: Transport, listen: Listen) -> None:
    done = asyncio.Event()
    peer = await listen(lambda *_: done.wait())
    with pytest.raises(httpx.ConnectTimeout):
        await post(transport, f"https://127.0.0.1:{peer.port}/", timeout=httpx.Timeout(20, connect=0.2))
    done.set()


async def test_no_free_connection_in_time_is_reported_as_not_sent(listen: Listen) -> None:
    done = asyncio.Event()

    async def hold(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await peer.request(reader)
        await done.wait()
        writer.write(answer())

    peer = await listen(hold)
    transport = Transport()
    async with anyio.create_task_group() as group:
        for _ in range(100):
            group.start_soon(post, transport, peer.url)
        while peer.connections < 100:
            await anyio.lowlevel.checkpoint()
        with pytest.raises(httpx.ConnectTimeout):
            await post(transport, peer.url, timeout=httpx.Timeout(20, connect=0.1, pool=0.1))
        done.set()
    await transport.aclose()


async def test_a_reset_before_a_big_body_was_handed_over_is_a_write_error(
    transport: Transport, listen: Listen
) -> None:
    async def read_the_head_only(
        peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await peer.head(reader)
        reset(writer)

    peer = await listen(read_the_head_only)
    with pytest.raises(httpx.WriteError):
        await post(transport, peer.url, BIG)
    assert len(peer.heads) == 1


async def test_a_reset_before_anything_of_a_big_body_was_read_is_a_write_error(
    transport: Transport, listen: Listen
) -> None:
    async def reset_at_once(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        reset(writer)

    peer = await listen(reset_at_once)
    with pytest.raises(httpx.WriteError):
        await post(transport, peer.url, BIG)


async def test_what_costs_money_is_held_back_once_connected_where_it_may_not_be_sent_any_more(
    listen: Listen,
) -> None:
    bodies: list[bytes] = []

    async def read_all(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await peer.head(reader)
        bodies.append(await reader.read(5))
        writer.write(answer())

    peer = await listen(read_all)
    transport = Transport(may_pay=lambda: False)
    costly = httpx.Request("POST", peer.url, content=b"money", extensions={PAYS: True})
    with pytest.raises(httpx.WriteTimeout, match="no other run has the batch"):
        await transport.handle_async_request(costly)
    taken = await transport.handle_async_request(httpx.Request("POST", peer.url, content=b"free!"))
    await taken.aclose()
    await transport.aclose()

    assert (peer.connections, b"".join(bodies)) == (2, b"free!")


async def test_a_body_that_nobody_takes_is_a_write_timeout(transport: Transport, listen: Listen) -> None:
    done = asyncio.Event()
    peer = await listen(lambda *_: done.wait())
    with pytest.raises(httpx.WriteTimeout):
        await post(transport, peer.url, BIG, timeout=httpx.Timeout(20, write=0.3))
    done.set()


async def take_and_answer(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        await peer.request(reader)
        writer.write(answer())


async def take_and_close(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await peer.request(reader)


async def take_and_reset(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await peer.request(reader)
    reset(writer)


async def answer_by_half(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await peer.request(reader)
    writer.write(answer(b'{"id": "abc"}')[:-5])


async def answer_half_a_head(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await peer.request(reader)
    writer.write(b"HTTP/1.1 201 Crea")


async def answer_garbage(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await peer.request(reader)
    writer.write(b"\x16\x03\x01 no HTTP at all\r\n\r\n")


async def answer_a_bad_chunk(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await peer.request(reader)
    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nZZ\r\nworld\r\n")


async def answer_a_header_without_end(
    peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    await peer.request(reader)
    writer.write(b"HTTP/1.1 200 OK\r\nX: " + b"y" * 400_000 + b"\r\n\r\n")


@pytest.mark.parametrize("body", [b"{}", BIG], ids=["small", "big"])
@pytest.mark.parametrize(
    ("script", "expected"),
    [
        (take_and_close, httpx.RemoteProtocolError),
        (take_and_reset, httpx.ReadError),
        (answer_by_half, httpx.RemoteProtocolError),
        (answer_half_a_head, httpx.RemoteProtocolError),
        (answer_garbage, httpx.RemoteProtocolError),
        (answer_a_bad_chunk, httpx.RemoteProtocolError),
        (answer_a_header_without_end, httpx.RemoteProtocolError),
    ],
)
async def test_a_request_that_was_taken_is_never_reported_as_unsent(
    transport: Transport,
    listen: Listen,
    script: Callable[..., Awaitable[None]],
    expected: type[Exception],
    body: bytes,
) -> None:
    peer = await listen(script)
    with pytest.raises(expected):
        await post(transport, peer.url, body)
    assert len(peer.heads) == 1


async def test_a_silent_server_that_took_the_request_is_a_read_timeout(
    transport: Transport, listen: Listen
) -> None:
    done = asyncio.Event()

    async def take_and_stall(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await peer.request(reader)
        await done.wait()

    peer = await listen(take_and_stall)
    with pytest.raises(httpx.ReadTimeout):
        await post(transport, peer.url, timeout=httpx.Timeout(20, read=0.2))
    done.set()


async def test_an_answer_that_stalls_halfway_is_a_read_timeout(transport: Transport, listen: Listen) -> None:
    done = asyncio.Event()

    async def stall_halfway(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await peer.request(reader)
        writer.write(answer(b"0123456789")[:-5])
        await done.wait()

    peer = await listen(stall_halfway)
    with pytest.raises(httpx.ReadTimeout):
        await post(transport, peer.url, timeout=httpx.Timeout(20, read=0.2))
    done.set()


async def test_an_answer_before_the_body_was_read_is_the_answer(transport: Transport, listen: Listen) -> None:
    done = asyncio.Event()

    async def refuse_early(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await peer.head(reader)
        writer.write(answer(status="413 Content Too Large"))
        await done.wait()

    peer = await listen(refuse_early)
    assert (await post(transport, peer.url, BIG)).status_code == 413
    assert (await post(transport, peer.url, b"{}")).status_code == 413
    assert peer.connections == 2, "a connection with half a request on it was used again"
    done.set()


async def test_a_kept_connection_that_the_server_closed_is_replaced_and_the_post_sent_once(
    transport: Transport, listen: Listen
) -> None:
    closed = asyncio.Event()

    async def answer_once(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await peer.request(reader)
        writer.write(answer())
        await writer.drain()
        writer.close()
        await writer.wait_closed()
        closed.set()

    peer = await listen(answer_once)
    assert (await post(transport, peer.url)).status_code == 200
    await closed.wait()
    for _ in range(10):
        await asyncio.sleep(0)
    assert (await post(transport, peer.url)).status_code == 200
    assert len(peer.heads) == 2


async def test_a_post_that_meets_the_closing_of_a_kept_connection_is_not_sent_again(
    transport: Transport, listen: Listen
) -> None:
    async def answer_one_then_close_on_the_next(
        peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await peer.request(reader)
        writer.write(answer())
        await peer.head(reader)

    peer = await listen(answer_one_then_close_on_the_next)
    assert (await post(transport, peer.url)).status_code == 200
    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
        await post(transport, peer.url)
    assert (len(peer.heads), peer.connections) == (2, 1)


async def test_redirects_are_answers(transport: Transport, listen: Listen) -> None:
    async def redirect(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await peer.request(reader)
        writer.write(answer(status="307 Temporary Redirect", head="Location: /elsewhere\r\n"))

    peer = await listen(redirect)
    assert (await post(transport, peer.url)).status_code == 307
    assert len(peer.heads) == 1


async def test_a_big_body_arrives_whole_over_tls(transport: Transport, listen: Listen) -> None:
    peer = await listen(take_and_answer, tls=True)
    assert (await post(transport, peer.url, BIG)).status_code == 200


async def test_certificates_are_loaded_only_where_something_is_encrypted(
    listen: Listen, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = []

    def load() -> ssl.SSLContext:
        loaded.append("the trust store")
        return ssl.create_default_context(cafile=str(CERTIFICATE))

    monkeypatch.setattr("batchfill.providers.transport.trusted_certificates", load)
    plain, secure = await listen(take_and_answer), await listen(take_and_answer, tls=True)
    transport = Transport()
    assert (await post(transport, plain.url)).status_code == 200
    assert loaded == []
    # A picture may still be at https, whatever the base is: then it is looked at whom to trust.
    assert (await post(transport, secure.url)).status_code == 200
    assert loaded == ["the trust store"]
    await transport.aclose()


async def test_canceling_requests_at_random_leaves_the_pool_whole(
    transport: Transport, listen: Listen
) -> None:
    chance = random.Random(7)

    async def answer_after_a_while(
        peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        while True:
            await peer.request(reader)
            for _ in range(chance.randrange(6)):
                await asyncio.sleep(0)
            writer.write(answer(b"x" * 100_000))

    peer = await listen(answer_after_a_while)

    async def churn() -> None:
        for _ in range(30):
            asked = asyncio.create_task(post(transport, peer.url))
            for _ in range(chance.randrange(25)):
                await asyncio.sleep(0)
            asked.cancel()
            await asyncio.wait([asked])

    async with anyio.create_task_group() as group:
        for _ in range(30):
            group.start_soon(churn)
    with anyio.fail_after(120):
        for _ in range(20):
            assert (await post(transport, peer.url)).status_code == 200


async def test_outputs_are_not_fetched_from_private_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    def private(host: str, port: int, *_: object, **__: object) -> list[object]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("10.0.0.7", port))]

    monkeypatch.setattr(socket, "getaddrinfo", private)
    transport = Transport(public_only=True)
    for host in ("127.0.0.1", "[::ffff:192.168.1.1]", "inner.test", "localhost", "0x7f000001"):
        with pytest.raises(OutputRefused):
            await post(transport, f"https://{host}/")
    await transport.aclose()


async def test_a_proxy_is_used_and_its_private_address_is_no_obstacle(
    listen: Listen, monkeypatch: pytest.MonkeyPatch
) -> None:
    origin = await listen(take_and_answer, tls=True)

    async def tunnel(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await peer.head(reader)
        inner_reader, inner = await asyncio.open_connection("127.0.0.1", origin.port)
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        async with anyio.create_task_group() as group:
            group.start_soon(pump, reader, inner)
            group.start_soon(pump, inner_reader, writer)

    proxy = await listen(tunnel)
    monkeypatch.setenv("HTTPS_PROXY", f"http://user:pass@127.0.0.1:{proxy.port}")
    context = ssl.create_default_context(cafile=str(CERTIFICATE))
    context.check_hostname = False
    transport = Transport(public_only=True, tls=context)
    assert (await post(transport, "https://outputs.test/x")).status_code == 200
    assert proxy.heads[0].startswith("CONNECT outputs.test:443 ")
    assert "Proxy-Authorization: Basic" in proxy.heads[0]
    assert "Proxy-Authorization" not in origin.heads[0]
    await transport.aclose()


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while piece := await reader.read(65_536):
        writer.write(piece)
        await writer.drain()
    writer.close()


@pytest.mark.parametrize(
    "script",
    [take_and_close, take_and_reset, answer_garbage],
)
async def test_a_proxy_that_fails_before_the_tunnel_stands_has_sent_nothing(
    listen: Listen, monkeypatch: pytest.MonkeyPatch, script: Callable[..., Awaitable[None]]
) -> None:
    proxy = await listen(script)
    monkeypatch.setenv("HTTPS_PROXY", f"127.0.0.1:{proxy.port}")
    transport = Transport()
    with pytest.raises(httpx.WriteError):
        await post(transport, "https://service.test/")
    await transport.aclose()


async def test_a_proxy_that_refuses_the_tunnel_or_is_not_there_is_a_proxy_error(
    listen: Listen, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await peer.head(reader)
        writer.write(answer(status="407 Proxy Authentication Required"))

    absent, refusing = unused_port(), (await listen(refuse)).port
    for port, words in (
        (absent, f"cannot connect to the proxy 127.0.0.1:{absent}: Connection refused"),
        (refusing, "the proxy answered 407 Proxy Authentication Required: check HTTPS_PROXY"),
    ):
        monkeypatch.setenv("HTTPS_PROXY", f"http://user:secret@127.0.0.1:{port}")
        transport = Transport()
        with pytest.raises(httpx.ProxyError) as failed:
            await post(transport, "https://service.test/")
        assert str(failed.value) == words
        await transport.aclose()


async def test_a_proxy_that_never_answers_is_a_connect_timeout(
    listen: Listen, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = asyncio.Event()
    proxy = await listen(lambda *_: done.wait())
    monkeypatch.setenv("ALL_PROXY", f"http://127.0.0.1:{proxy.port}")
    transport = Transport()
    with pytest.raises(httpx.ConnectTimeout):
        await post(transport, "https://service.test/", timeout=httpx.Timeout(20, connect=0.1, pool=0.1))
    await transport.aclose()
    done.set()


async def test_loopback_is_never_proxied(
    transport: Transport, listen: Listen, monkeypatch: pytest.MonkeyPatch
) -> None:
    peer = await listen(take_and_answer)
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{unused_port()}")
    fresh = Transport()
    assert (await post(fresh, peer.url)).status_code == 200
    await fresh.aclose()


async def test_a_socks_proxy_is_a_proxy_error_that_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:1080")
    with pytest.raises(httpx.ProxyError, match="socks5"):
        await post(Transport(), "https://service.test/")
