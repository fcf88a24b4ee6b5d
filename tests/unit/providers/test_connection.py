"""Opening a provider: who may be fetched from, and which proxy is used."""

from __future__ import annotations

import re
import socket
from typing import TYPE_CHECKING

import httpx
import pytest

from batchfill._version import __version__
from batchfill.errors import OutputRefused, UsageError
from batchfill.providers.connection import open_service
from batchfill.providers.proxies import Proxies
from tests.support.wire import Peer, answer
from tests.unit.providers.conftest import SECRET

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable

    from batchfill.domain.token import Token

    Listen = Callable[..., Awaitable[Peer]]


async def test_calls_carry_the_token_and_outputs_beside_them_do_not(listen: Listen, token: Token) -> None:
    async def serve(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await peer.request(reader)
            writer.write(answer(b'{"id": "abc", "status": "starting"}', head="Set-Cookie: a=b\r\n"))

    peer, host = await listen(serve), await listen(serve)
    async with open_service(f"{peer.url}/v1", token, reads_per_minute=3000, answer_timeout=30) as (
        service,
        outputs,
    ):
        assert (await service.get("abc")).id == "abc"
        assert (await service.get("abc")).id == "abc"
        async with outputs.fetch(f"{host.url}/out.png") as download:
            assert [chunk async for chunk in download.chunks()] == [b'{"id": "abc", "status": "starting"}']
    assert all(f"Authorization: Bearer {SECRET}" in head for head in peer.heads)
    assert SECRET not in host.heads[0]
    assert not any("cookie" in head.lower() for head in peer.heads)
    assert f"User-Agent: batchfill/{__version__}\r\n" in host.heads[0]
    names = {re.findall(r"User-Agent: (.*)\r\n", head)[0] for head in peer.heads}
    assert len(names) == 1, "a run has a name of its own"
    assert re.fullmatch(rf"batchfill/{re.escape(__version__)} \(\w{{8}}\)", names.pop())


async def test_a_given_transport_serves_everything_and_stays_open(token: Token) -> None:
    class Double(httpx.AsyncBaseTransport):
        closed = False

        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            return httpx.Response(200, json={"id": "abc", "status": "starting"})

        async def aclose(self) -> None:
            self.closed = True

    double = Double()
    async with open_service(
        "https://service.test/v1", token, reads_per_minute=3000, answer_timeout=30, transport=double
    ) as (service, outputs):
        assert (await service.get("abc")).id == "abc"
        async with outputs.fetch("https://outputs.test/x") as download:
            assert [chunk async for chunk in download.chunks()] == [b'{"id":"abc","status":"starting"}']
        with pytest.raises(OutputRefused):
            async with outputs.fetch("https://10.0.0.1/x"):
                pass
    assert not double.closed


@pytest.mark.parametrize(("address", "refused"), [("10.1.2.3", False), ("93.184.216.34", True)])
async def test_a_base_in_a_private_network_may_keep_its_outputs_there(
    token: Token, monkeypatch: pytest.MonkeyPatch, address: str, refused: bool
) -> None:
    def resolve(host: str, port: int, *_: object, **__: object) -> list[object]:
        if host == "service.test":
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port or 0))]
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    base = "https://service.test/v1"
    async with open_service(base, token, reads_per_minute=3000, answer_timeout=30) as (_, outputs):
        assert outputs.policy.allow_private is not refused


@pytest.mark.parametrize(
    ("environment", "url", "expected"),
    [
        ({"HTTPS_PROXY": "http://p.test:1"}, "https://a.test/x", "http://p.test:1"),
        ({"https_proxy": "p.test:1"}, "https://a.test/x", "http://p.test:1"),
        ({"ALL_PROXY": "http://p.test:1"}, "https://a.test/x", "http://p.test:1"),
        ({"HTTP_PROXY": "http://p.test:1"}, "https://a.test/x", None),
        (
            {"HTTPS_PROXY": "http://p.test:1", "ALL_PROXY": "socks5://p.test:2"},
            "https://a.test",
            "http://p.test:1",
        ),
        ({"HTTPS_PROXY": "http://p.test:1", "NO_PROXY": "b.test,a.test"}, "https://x.a.test/", None),
        ({"HTTPS_PROXY": "http://p.test:1", "NO_PROXY": "*"}, "https://a.test/", None),
        ({"HTTP_PROXY": "http://p.test:1"}, "http://localhost:80/", None),
        ({"ALL_PROXY": "http://p.test:1"}, "https://127.0.0.1:80/", None),
        ({"ALL_PROXY": "http://p.test:1"}, "https://[::1]:80/", None),
        ({}, "https://a.test/", None),
    ],
)
def test_the_environment_names_the_proxy(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], url: str, expected: str | None
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert Proxies().proxy_for(url) == expected


@pytest.mark.parametrize(
    ("no_proxy", "host", "bypassed"),
    [
        ("*.corp.invalid,localhost", "gw.corp.invalid", True),
        ("*.corp.invalid", "corp.invalid", True),
        (".corp.invalid", "a.b.corp.invalid", True),
        ("corp.invalid", "gw.corp.invalid", True),
        ("CORP.invalid.", "gw.Corp.invalid", True),
        ("corp.invalid", "notcorp.invalid", False),
        ("*corp.invalid", "gw.corp.invalid", True),
        ("corp.invalid.other", "corp.invalid", False),
        ("a.test b.test", "b.test", True),
        (" a.test , b.test ", "b.test", True),
        ("a.test,*", "b.test", True),
        ("", "b.test", False),
        (",", "b.test", False),
        (".", "b.test", False),
        ("*.", "b.test", False),
        ("gw.test:8443", "gw.test:8443", True),
        ("gw.test:8443", "gw.test:443", False),
        ("gw.test:8443", "gw.test", False),
        ("10.0.0.0/8", "10.1.2.3", True),
        ("10.0.0.0/8", "11.1.2.3", False),
        ("10.1.2.3", "10.1.2.3:8080", True),
        ("fd00::/8", "[fd12::1]", True),
        ("[fd12::1]", "[fd12::1]:8443", True),
        ("[fd12::1]:8443", "[fd12::1]:8443", True),
        ("10.0.0.0/99", "10.1.2.3", False),
    ],
)
def test_no_proxy_is_read_as_curl_reads_it(
    monkeypatch: pytest.MonkeyPatch, no_proxy: str, host: str, bypassed: bool
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://p.test:1")
    monkeypatch.setenv("NO_PROXY", no_proxy)
    assert Proxies().proxy_for(f"https://{host}/x") == (None if bypassed else "http://p.test:1")


async def test_a_socks_proxy_for_the_base_is_refused_before_anything_else(
    token: Token, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALL_PROXY", "socks5h://127.0.0.1:1080")
    with pytest.raises(UsageError, match="socks5h"):
        async with open_service("https://service.test/v1", token, reads_per_minute=1, answer_timeout=1):
            pass
