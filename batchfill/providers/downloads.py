"""Downloads outputs within bounds; knows which addresses are allowed, and no token."""

from __future__ import annotations

import asyncio
import base64
import binascii
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes

import httpx

from batchfill.clock import loop_time
from batchfill.errors import BatchfillError, NotFound, OutputRefused, TransientError
from batchfill.providers.endpoints import origin_of
from batchfill.providers.error_text import one_line
from batchfill.providers.output_forms import is_picture
from batchfill.providers.redaction import Redaction
from batchfill.providers.requests import request_for, send_once
from batchfill.providers.status_codes import wait_of
from batchfill.providers.wire.address_policy import refuse_private
from batchfill.settings.addresses import is_in_private_network, is_loopback

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable

    from batchfill.providers.endpoints import Origin


LARGEST = 256 * 1024 * 1024
"""Bytes of one output."""

LONGEST = 600.0
"""Seconds for one output."""

LONGEST_HEAD = 240.0
"""Seconds until it begins: a free connection, the connection, the request, and a head that may dribble."""


_HEAD = 32
"""Bytes of a body that tell whether it is a picture."""

_GZIP = b"\x1f\x8b\x08"
_UNPACKED = {"gzip": "gzip", "x-gzip": "gzip", "deflate": "deflate"}
_NOT_UNPACKED = frozenset({"br", "zstd", "compress"})
_SLICE = 16 * 1024
"""Bytes that are unpacked at once: of gzip they are 16 MiB at the very most."""


class SignatureWanted(BatchfillError):
    """An output's address answered 401 or 403."""


class Download:
    """The bytes of one output, still to be read."""

    def __init__(
        self, pieces: AsyncIterator[bytes], *, length: int | None, content_type: str | None, largest: int
    ) -> None:
        self.length = length
        """Bytes as announced, packed or not; None when unknown."""
        self.content_type = content_type
        """As announced, without parameters: `image/webp`."""
        self._pieces = pieces
        self._largest = largest
        self._deadline = loop_time() + LONGEST

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the bytes, once.

        Raises TransientError when they end early, stall or take too long, OutputRefused when there are too
        many.
        """
        size = 0
        while piece := await self._next_piece(size):
            size += len(piece)
            self._check_bounds(size)
            yield piece

    async def _next_piece(self, size: int) -> bytes:
        """Return the piece behind the first *size* bytes; empty at the end."""
        try:
            # By the clock too: what comes may unpack to nothing without end.
            async with asyncio.timeout(max(0.0, self._deadline - loop_time())):
                return await anext(self._pieces, b"")
        except TimeoutError:
            raise self._too_long(size) from None
        except httpx.RequestError as error:
            failure = TransientError(one_line(f"the output broke off after {size} bytes: {error}"))
        # Out here the cause is forgotten on purpose: it knows the address, which may hold the token.
        raise failure

    def _check_bounds(self, size: int) -> None:
        if size > self._largest:
            raise _too_large(self._largest)
        if loop_time() > self._deadline:
            raise self._too_long(size)

    def _too_long(self, size: int) -> TransientError:
        return TransientError(f"the output took longer than {LONGEST:.0f} s, {size} bytes so far")


async def open_download(answer: Awaitable[httpx.Response], place: httpx.URL) -> httpx.Response:
    """Return the awaited *answer*, asked for at *place*.

    Raises TransientError when there is none, OutputRefused for a useless URL.
    """
    try:
        async with asyncio.timeout(LONGEST_HEAD):
            return await answer
    except TimeoutError as error:
        raise TransientError(f"{shown_url(str(place))} did not begin within {LONGEST_HEAD:.0f} s") from error
    except httpx.UnsupportedProtocol as error:
        raise OutputRefused(
            one_line(f"{shown_url(str(place))} is no address that can be fetched: {error}")
        ) from error
    except httpx.RequestError as error:
        raise TransientError(one_line(f"{shown_url(str(place))} cannot be fetched: {error}")) from error


async def begin(
    answer: Awaitable[httpx.Response], *, largest: int = LARGEST
) -> tuple[httpx.Response, Download]:
    """Return the awaited *answer*, to be closed, and its body. Raises as `download_of`, the answer closed."""
    response = await answer
    try:
        return response, download_of(response, largest=largest)
    except BatchfillError:
        await response.aclose()
        raise


def download_of(response: httpx.Response, *, largest: int = LARGEST) -> Download:
    """Return the body of a success. Raises NotFound, SignatureWanted, OutputRefused or TransientError."""
    _check_status(response)
    announced = response.headers.get("content-length", "")
    length = int(announced) if announced.isascii() and announced.isdigit() else None
    if length is not None and length > largest:
        raise _too_large(largest)
    kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    return Download(_unpacked(response, length), length=length, content_type=kind or None, largest=largest)


async def _unpacked(response: httpx.Response, length: int | None) -> AsyncIterator[bytes]:
    """Yield the body unpacked. What it begins with decides, before its label: a picture is one as it is."""
    pieces, head = _as_sent(response, length), b""
    while len(head) < _HEAD and (piece := await anext(pieces, b"")):
        head += piece
    coding = None if is_picture(head) else _coding_of(response, head)
    if coding is None:
        yield head
        async for piece in pieces:
            yield piece
        return
    packed = httpx.Response(200, headers={"Content-Encoding": coding}, content=_in_slices(head, pieces))
    packed.request = response.request
    async for piece in packed.aiter_bytes():
        yield piece


def _coding_of(response: httpx.Response, head: bytes) -> str | None:
    """Return how a body that begins with *head* is packed; None: it is not. Raises TransientError."""
    named = [word.strip() for word in response.headers.get("content-encoding", "").lower().split(",")]
    codings = [word for word in named if word in _UNPACKED or word in _NOT_UNPACKED]
    if len(codings) > 1 or any(word in _NOT_UNPACKED for word in codings):
        # Packed twice, a megabyte of zeros is a terabyte.
        raise TransientError(f"the output is packed as {', '.join(codings)[:100]}, which was not asked for")
    if head.startswith(_GZIP):
        return "gzip"
    return _UNPACKED[codings[0]] if codings else None


async def _as_sent(response: httpx.Response, length: int | None) -> AsyncIterator[bytes]:
    """Yield the body as it is. Raises TransientError when it has another length than was announced."""
    assert isinstance(response.stream, httpx.AsyncByteStream)
    size = 0
    async for piece in response.stream:
        size += len(piece)
        yield piece
    if length is not None and size != length:
        raise TransientError(f"the output has {size} bytes where {length} were announced")


async def _in_slices(head: bytes, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield *head* and *pieces* in small parts, since they grow."""
    piece = head
    while piece:
        for start in range(0, len(piece), _SLICE):
            yield piece[start : start + _SLICE]
        piece = await anext(pieces, b"")


def shown_url(url: str) -> str:
    """Return *url* as messages show it: without its query, which may hold a signature, and not too long."""
    return one_line(url.partition("?")[0].partition("#")[0], longest=120)


def _check_status(response: httpx.Response) -> None:
    status, text = response.status_code, f"{shown_url(str(response.url))} answered {response.status_code}"
    if status in (401, 403):
        raise SignatureWanted(text)
    if status in (404, 410):
        raise NotFound(text)
    # A part or nothing at all was not asked for.
    if not 200 <= status < 300 or status in (204, 205, 206):
        raise TransientError(text, wait=wait_of(response.headers, b""))


def _too_large(largest: int) -> OutputRefused:
    return OutputRefused(f"the output is larger than {largest / 2**20:.4g} MiB")


REDIRECTS = 5

_TIMEOUT = httpx.Timeout(connect=30.0, pool=60.0, write=30.0, read=60.0)
_MOVED = frozenset({301, 302, 303, 307, 308})


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputPolicy:
    """From where outputs are fetched: public https addresses, and others where the base itself is near."""

    allow_private: bool = False
    """The base has a private address itself."""
    allow_http: bool = False
    """It is on loopback."""
    private_http: bool = False
    """http is allowed from private networks."""
    any_host: bool = False
    """http is allowed from everywhere."""
    largest: int = LARGEST
    """Bytes of one output."""
    own: Origin | None = None
    """The base's origin, the only one to be asked for an address that holds the token."""
    token_known: bool = True
    """Whether it would be seen in an address that the base's origin redirects to."""

    def elsewhere(self) -> OutputPolicy:
        """Return that of a machine in another network, where what is near may be another host."""
        return OutputPolicy(largest=self.largest, own=self.own, token_known=self.token_known)


class OutputClient:
    """Fetches outputs as its policy allows."""

    def __init__(
        self,
        transport: httpx.AsyncBaseTransport,
        policy: OutputPolicy,
        *,
        redaction: Redaction | None = None,
    ) -> None:
        """*redaction*: what knows the token."""
        self._transport = transport
        self.policy = policy
        self._redaction = redaction or Redaction()

    @asynccontextmanager
    async def fetch(self, url: str) -> AsyncIterator[Download]:
        """Open the output at *url*, an https or data URL, following at most five redirects by the same rules.

        Where another origin than the base's is to be asked for an address that holds the token, it is asked
        for the address with the mark in it.
        Raises OutputRefused, NotFound (404, 410), SignatureWanted (401, 403), TransientError.
        """
        if url[:5].lower() == "data:":
            yield _open_data_url(url, self.policy.largest)
            return
        begun = begin(self._follow_redirects(self._redaction.given(url) or url), largest=self.policy.largest)
        response, download = await self._redaction.in_errors(begun)
        try:
            yield download
        finally:
            await response.aclose()

    async def _follow_redirects(self, url: str) -> httpx.Response:
        place = self._check_url(url)
        for _ in range(REDIRECTS + 1):
            response = await self._open_url(place)
            if response.status_code not in _MOVED:
                return response
            await response.aclose()
            asked, place = place, self._check_url(_redirect_target(response))
            if not self.policy.token_known and origin_of(asked) == self.policy.own != origin_of(place):
                raise OutputRefused(f"{shown_url(url)} redirects to another host, perhaps with the token")
        raise OutputRefused(f"{shown_url(url)} redirects more than {REDIRECTS} times")

    async def _open_url(self, place: httpx.URL) -> httpx.Response:
        # Encoded answers have no length that could be checked.
        request = request_for("GET", place, headers={"Accept-Encoding": "identity"})
        return await open_download(send_once(self._transport, request, _TIMEOUT), place)

    def _check_url(self, url: str) -> httpx.URL:
        place = self._place_of(url)
        if origin_of(place) != self.policy.own and (marked := self._redaction.text(url)) != url:
            place = self._place_of(marked)
        if place.scheme != "https" and not self._may_be_plain(place):
            raise OutputRefused(f"{shown_url(url)}: outputs are fetched from https addresses only")
        if not self.policy.allow_private:
            refuse_private(place.host)
        return place

    def _place_of(self, url: str) -> httpx.URL:
        place, own = parse_url(url), self.policy.own
        return place if own is None or self._may_be_plain(place) else over_tls(place, own)

    def _may_be_plain(self, place: httpx.URL) -> bool:
        policy = self.policy
        near = policy.allow_http and (policy.any_host or is_loopback(place.host))
        private = policy.private_http and is_in_private_network(place.host)
        return place.scheme == "http" and (near or private)


def over_tls(place: httpx.URL, own: Origin) -> httpx.URL:
    """Return where an http address is asked for by TLS, which the base's *own* origin is behind.

    A gateway behind a proxy that ends TLS knows nothing of it, and names itself by http and without the port.
    """
    scheme, host, port = own
    if scheme != "https" or place.scheme != "http":
        return place
    return place.copy_with(scheme="https", port=place.port or (port if place.host == host else None))


def parse_url(url: str) -> httpx.URL:
    """Return the parsed *url*, without user and password. Raises OutputRefused when it is no full URL."""
    try:
        place = httpx.URL(url)
    except (httpx.InvalidURL, UnicodeError) as error:
        raise OutputRefused(one_line(f"{shown_url(url)} is not an address: {error}")) from error
    if not place.host:
        raise OutputRefused(f"{shown_url(url)!r} is not an address")
    return place.copy_with(username=None, password=None) if place.userinfo else place


def _redirect_target(response: httpx.Response) -> str:
    try:
        return str(response.url.join(response.headers.get("location", "")))
    except (httpx.InvalidURL, UnicodeError) as error:
        raise OutputRefused(
            one_line(f"{shown_url(str(response.url))} redirects to no address: {error}")
        ) from error


def _open_data_url(url: str, largest: int) -> Download:
    head, comma, text = url[5:].partition(",")
    kind, *parameters = [part.strip().lower() for part in head.split(";")]
    # Four characters of base64, or one percent-encoded byte and its like, are never fewer bytes than a third.
    if not comma or len(text) > 4 * largest:
        raise OutputRefused("the output is a data URL without data, or one that is too large")
    content = unquote_to_bytes(text)
    if "base64" in parameters:
        content = _unpack_data_url(content)
    return Download(_yield_whole(content), length=len(content), content_type=kind or None, largest=largest)


def _unpack_data_url(text: bytes) -> bytes:
    # Both alphabets of base64 are met.
    bare = b"".join(text.split()).rstrip(b"=").translate(bytes.maketrans(b"-_", b"+/"))
    try:
        return base64.b64decode(bare + b"=" * (-len(bare) % 4), altchars=None, validate=True)
    except binascii.Error as error:
        raise OutputRefused(f"the output is a data URL that is not base64: {error}") from error


async def _yield_whole(content: bytes) -> AsyncIterator[bytes]:
    yield content
