"""Fetching outputs: from where, how much, and what goes wrong."""

from __future__ import annotations

import gzip
import zlib
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from batchfill.errors import NotFound, OutputRefused, TransientError
from batchfill.providers.downloads import OutputClient, OutputPolicy, SignatureWanted
from batchfill.providers.wire.address_policy import is_public

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import respx

URL = "https://outputs.test/x/out-0.webp"


@pytest.fixture
def mock_transport(router: respx.Router) -> httpx.MockTransport:
    return httpx.MockTransport(router.async_handler)


@pytest.fixture
def outputs(mock_transport: httpx.MockTransport) -> OutputClient:
    return OutputClient(mock_transport, OutputPolicy(largest=1000))


async def fetched(outputs: OutputClient, url: str) -> bytes:
    async with outputs.fetch(url) as download:
        return b"".join([chunk async for chunk in download.chunks()])


async def test_an_output_comes_whole_with_its_length_and_type_and_without_a_token(
    router: respx.Router, outputs: OutputClient
) -> None:
    route = router.get(URL).respond(content=b"webp", headers={"Content-Type": "image/webp; q=1"})
    async with outputs.fetch(URL) as download:
        assert (download.length, download.content_type) == (4, "image/webp")
        assert [chunk async for chunk in download.chunks()] == [b"webp"]
    assert "authorization" not in route.calls.last.request.headers
    assert route.calls.last.request.headers["accept-encoding"] == "identity"


@pytest.mark.parametrize(
    "url",
    [
        "http://outputs.test/x",
        "ftp://outputs.test/x",
        "file:///etc/passwd",
        "/relative",
        "",
        "https://",
        "https://127.0.0.1/x",
        "https://[::1]/x",
        "https://[::ffff:10.0.0.1]/x",
        "https://169.254.169.254/latest/meta-data",
        "http://127.0.0.1/x",
        "https://outputs.test:notaport/",
        "https://\ud800/",
    ],
)
async def test_addresses_of_other_kinds_are_refused(outputs: OutputClient, url: str) -> None:
    with pytest.raises(OutputRefused):
        await fetched(outputs, url)


async def test_inputs_may_be_anywhere_without_tls_but_on_private_addresses(
    router: respx.Router, mock_transport: httpx.MockTransport
) -> None:
    inputs = OutputClient(mock_transport, OutputPolicy(allow_http=True, any_host=True))
    router.get("http://outputs.test/x").respond(content=b"png")
    router.get("http://outputs.test/in").respond(302, headers={"Location": "http://10.0.0.1/x"})
    assert await fetched(inputs, "http://outputs.test/x") == b"png"
    for url in ("http://outputs.test/in", "http://127.0.0.1/x", "ftp://outputs.test/x"):
        with pytest.raises(OutputRefused):
            await fetched(inputs, url)


async def test_near_addresses_are_fetched_from_when_the_base_is_near(
    router: respx.Router, mock_transport: httpx.MockTransport
) -> None:
    outputs = OutputClient(mock_transport, OutputPolicy(allow_private=True, allow_http=True))
    router.route().respond(content=b"x")
    for url in ("http://127.0.0.1:8000/x", "http://localhost/x", "https://10.0.0.1/x"):
        assert await fetched(outputs, url) == b"x"
    with pytest.raises(OutputRefused):
        await fetched(outputs, "http://10.0.0.1/x")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"status_code": 404}, NotFound),
        ({"status_code": 410}, NotFound),
        ({"status_code": 401}, SignatureWanted),
        ({"status_code": 403}, SignatureWanted),
        ({"status_code": 500}, TransientError),
        ({"status_code": 206, "content": b"part"}, TransientError),
        ({"status_code": 304}, TransientError),
    ],
)
async def test_answers_of_output_hosts_are_classified(
    router: respx.Router, outputs: OutputClient, given: dict[str, Any], expected: type[Exception]
) -> None:
    router.get(URL).respond(**given)
    with pytest.raises(expected):
        await fetched(outputs, URL)


async def test_a_throttling_output_host_names_its_wait(router: respx.Router, outputs: OutputClient) -> None:
    router.get(URL).respond(429, headers={"Retry-After": "7"})
    with pytest.raises(TransientError) as caught:
        await fetched(outputs, URL)
    assert caught.value.wait == 7


async def test_redirects_are_followed_by_the_same_rules(router: respx.Router, outputs: OutputClient) -> None:
    router.get(URL).respond(302, headers={"Location": "//cdn.test/y?signature=s"})
    router.get("https://cdn.test/y").respond(content=b"moved")
    assert await fetched(outputs, URL) == b"moved"


@pytest.mark.parametrize(
    "location",
    [
        "http://outputs.test/x",
        "https://192.168.0.1/",
        "file:///etc/passwd",
        "data:,x",
        "https://outputs.test:port/",
        "",
    ],
)
async def test_a_redirect_to_a_refused_address_is_refused(
    router: respx.Router, outputs: OutputClient, location: str
) -> None:
    router.get(URL).respond(302, headers={"Location": location})
    with pytest.raises(OutputRefused):
        await fetched(outputs, URL)


@pytest.mark.parametrize(
    ("token_known", "target", "follows"),
    [
        (True, "https://cdn.test/x?token=r8_any", True),
        (False, "https://cdn.test/x?token=r8_any", False),
        (False, "https://outputs.test/y", True),
    ],
)
async def test_who_does_not_know_the_token_follows_the_base_to_no_other_host(
    router: respx.Router, mock_transport: httpx.MockTransport, token_known: bool, target: str, follows: bool
) -> None:
    own = ("https", "outputs.test", None)
    outputs = OutputClient(mock_transport, OutputPolicy(own=own, token_known=token_known))
    router.get(URL).respond(302, headers={"Location": target})
    route = router.get(target).respond(content=b"webp")
    if follows:
        assert await fetched(outputs, URL) == b"webp"
    else:
        with pytest.raises(OutputRefused, match="redirects to another host"):
            await fetched(outputs, URL)
    assert route.called is follows


async def test_five_redirects_are_followed_and_a_sixth_is_refused(
    router: respx.Router, outputs: OutputClient
) -> None:
    for hop in range(6):
        router.get(f"https://a.test/{hop}").respond(307, headers={"Location": f"/{hop + 1}"})
    router.get("https://a.test/6").respond(content=b"end")
    assert await fetched(outputs, "https://a.test/1") == b"end"
    with pytest.raises(OutputRefused):
        await fetched(outputs, "https://a.test/0")


async def test_an_output_beyond_the_bound_is_refused_announced_or_not(
    router: respx.Router, outputs: OutputClient
) -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 300

    router.get(URL).mock(
        side_effect=[httpx.Response(200, content=b"x" * 1001), httpx.Response(200, content=endless())]
    )
    for _ in range(2):
        with pytest.raises(OutputRefused, match="larger"):
            await fetched(outputs, URL)


async def test_an_output_shorter_than_announced_is_tried_again(
    router: respx.Router, outputs: OutputClient
) -> None:
    async def short() -> AsyncIterator[bytes]:
        yield b"half"

    router.get(URL).mock(return_value=httpx.Response(200, content=short(), headers={"Content-Length": "8"}))
    with pytest.raises(TransientError, match="4 bytes where 8"):
        await fetched(outputs, URL)


async def test_an_output_that_takes_for_ever_is_tried_again(
    router: respx.Router, outputs: OutputClient, loop_clock: Any
) -> None:
    async def drip() -> AsyncIterator[bytes]:
        for _ in range(100):
            loop_clock.now += 30
            yield b"."

    router.get(URL).mock(return_value=httpx.Response(200, content=drip()))
    with pytest.raises(TransientError, match="longer than 600 s"):
        await fetched(outputs, URL)


@pytest.mark.parametrize("failure", [httpx.ConnectError, httpx.ReadTimeout, httpx.RemoteProtocolError])
async def test_a_network_failure_is_tried_again(
    router: respx.Router, outputs: OutputClient, failure: type[Exception]
) -> None:
    router.get(URL).mock(side_effect=failure)
    with pytest.raises(TransientError):
        await fetched(outputs, URL)


async def test_a_signature_in_an_address_is_not_shown(router: respx.Router, outputs: OutputClient) -> None:
    router.get(URL).respond(500)
    with pytest.raises(TransientError) as caught:
        await fetched(outputs, f"{URL}?signature=geheim")
    assert "geheim" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "content", "kind"),
    [
        ("data:image/png;base64,aGVsbG8=", b"hello", "image/png"),
        ("data:image/png;base64,aGVs\nbG8", b"hello", "image/png"),
        ("data:;base64,aGVsbG8%3D", b"hello", None),
        ("DATA:text/plain,a%20b", b"a b", "text/plain"),
        ("data:;base64,-_-_", b"\xfb\xff\xbf", None),
    ],
)
async def test_data_urls_are_outputs(
    outputs: OutputClient, url: str, content: bytes, kind: str | None
) -> None:
    async with outputs.fetch(url) as download:
        assert (download.length, download.content_type) == (len(content), kind)
    assert await fetched(outputs, url) == content


BEHIND_TLS = {
    "http://gw.test/a": "https://gw.test:8443/a",
    "http://gw.test:8443/a": "https://gw.test:8443/a",
    "http://gw.test:9000/a": "https://gw.test:9000/a",
    "http://cdn.test/a": "https://cdn.test/a",
}


@pytest.mark.parametrize("link", BEHIND_TLS)
@pytest.mark.parametrize("moved", [False, True])
async def test_links_by_http_from_behind_tls_are_asked_for_by_https_alone(
    router: respx.Router, mock_transport: httpx.MockTransport, link: str, moved: bool
) -> None:
    own = ("https", "gw.test", 8443)
    outputs = OutputClient(mock_transport, OutputPolicy(own=own))
    router.get(URL).respond(302, headers={"Location": link})
    router.get(BEHIND_TLS[link]).respond(content=b"webp")
    assert await fetched(outputs, URL if moved else link) == b"webp"
    assert {call.request.url.scheme for call in router.calls} == {"https"}


async def test_a_private_address_is_refused_by_https_too(mock_transport: httpx.MockTransport) -> None:
    outputs = OutputClient(mock_transport, OutputPolicy(own=("https", "gw.test", None)))
    with pytest.raises(OutputRefused):
        await fetched(outputs, "http://10.0.0.1/a")


class Sent(httpx.AsyncByteStream):
    """A body as it was sent."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._body


PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(range(100))


@pytest.mark.parametrize("pieces", [1, 3, 400])
@pytest.mark.parametrize(
    ("coding", "body"),
    [
        (None, PICTURE),
        ("", PICTURE),
        ("gzip", PICTURE),
        ("br", PICTURE),
        ("gzip, deflate", PICTURE),
        ("x-unheard-of", PICTURE),
        ("gzip", gzip.compress(PICTURE)),
        ("x-gzip", gzip.compress(PICTURE)),
        ("GZIP", gzip.compress(PICTURE)),
        (None, gzip.compress(PICTURE)),
        ("deflate", zlib.compress(PICTURE)),
    ],
)
async def test_the_content_of_an_output_decides_before_its_label(
    router: respx.Router, outputs: OutputClient, coding: str | None, body: bytes, pieces: int
) -> None:
    async def parts() -> AsyncIterator[bytes]:
        for start in range(0, len(body), pieces):
            yield body[start : start + pieces]

    headers = {} if coding is None else {"Content-Encoding": coding}
    router.get(URL).mock(return_value=httpx.Response(200, content=parts(), headers=headers))
    assert await fetched(outputs, URL) == PICTURE


@pytest.mark.parametrize("coding", ["br", "zstd", "gzip, gzip"])
async def test_what_is_packed_in_another_way_and_is_no_picture_is_tried_again(
    router: respx.Router, outputs: OutputClient, coding: str
) -> None:
    router.get(URL).mock(
        return_value=httpx.Response(
            200, stream=Sent(b"\x8b\x05\x80" * 99), headers={"Content-Encoding": coding}
        )
    )
    with pytest.raises(TransientError, match="which was not asked for"):
        await fetched(outputs, URL)


async def test_what_unpacks_to_more_than_the_bound_is_refused(
    router: respx.Router, outputs: OutputClient
) -> None:
    async def bomb() -> AsyncIterator[bytes]:
        yield gzip.compress(bytes(2000))

    for headers in ({}, {"Content-Encoding": "gzip"}):
        router.get(URL).mock(return_value=httpx.Response(200, content=bomb(), headers=headers))
        with pytest.raises(OutputRefused, match="larger"):
            await fetched(outputs, URL)


async def test_a_packed_output_that_is_damaged_is_tried_again(
    router: respx.Router, outputs: OutputClient
) -> None:
    async def damaged() -> AsyncIterator[bytes]:
        yield gzip.compress(PICTURE)[:-8] + bytes(8)

    router.get(URL).mock(
        return_value=httpx.Response(200, content=damaged(), headers={"Content-Encoding": "gzip"})
    )
    with pytest.raises(TransientError, match="broke off"):
        await fetched(outputs, URL)


@pytest.mark.parametrize("url", ["data:", "data:image/png;base64,!!!", "data:image/png;base64," + "A" * 2000])
async def test_data_urls_without_usable_data_are_refused(outputs: OutputClient, url: str) -> None:
    with pytest.raises(OutputRefused):
        await fetched(outputs, url)


@pytest.mark.parametrize("address", ["8.8.8.8", "198.18.0.1", "2606:4700::1", "64:ff9b::808:808"])
def test_addresses_of_the_open_internet_are_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "224.0.0.1",
        "240.0.0.1",
        "0.0.0.0",
        "255.255.255.255",
        "::1",
        "::",
        "fe80::1",
        "fe80::1%eth0",
        "fc00::1",
        "fec0::1",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "::127.0.0.1",
        "2001:db8::1",
    ],
)
def test_addresses_of_machines_nearby_are_not_public(address: str) -> None:
    assert not is_public(address)
