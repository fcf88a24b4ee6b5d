"""Where outputs may be fetched from. Sends no token, but what an address of the base's own holds already."""

from __future__ import annotations

import base64
import binascii
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes

import httpx

from batchfill.api.addresses import refuse_private
from batchfill.api.downloads import LARGEST, Download, begin, opened, shown
from batchfill.api.paths import origin
from batchfill.api.redaction import Redaction
from batchfill.api.sending import request_for, send
from batchfill.api.words import tidy
from batchfill.errors import OutputRefused
from batchfill.settings import is_loopback

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from batchfill.api.paths import Origin

REDIRECTS = 5

_TIMEOUT = httpx.Timeout(connect=30.0, pool=60.0, write=30.0, read=60.0)
_MOVED = frozenset({301, 302, 303, 307, 308})


class Outputs:
    """Fetches outputs from public https addresses; from anywhere near where the base itself is near."""

    def __init__(
        self,
        transport: httpx.AsyncBaseTransport,
        *,
        allow_private: bool,
        allow_http: bool,
        any_host: bool = False,
        largest: int = LARGEST,
        redaction: Redaction | None = None,
        own: Origin | None = None,
    ) -> None:
        """*allow_private*: the base has a private address itself; *allow_http*: it is on loopback.

        *any_host*: http is allowed from everywhere, not from loopback only. *redaction*: what knows the
        token; *own*: the base's origin, the only one that may be asked for an address that holds it.
        """
        self._transport = transport
        self._allow_private = allow_private
        self._allow_http = allow_http
        self._any_host = any_host
        self._largest = largest
        self._redaction = redaction or Redaction()
        self._own = own

    @asynccontextmanager
    async def fetch(self, url: str) -> AsyncIterator[Download]:
        """Open the output at *url*, an https or data URL, following at most five redirects by the same rules.

        Where another origin than the base's is to be asked for an address that holds the token, it is asked
        for the address with the mark in it.
        Raises OutputRefused, NotFound (404, 410), SignatureWanted (401, 403), TryAgain.
        """
        if url[:5].lower() == "data:":
            yield _inline(url, self._largest)
            return
        begun = begin(self._follow(self._redaction.given(url) or url), largest=self._largest)
        response, download = await self._redaction.in_errors(begun)
        try:
            yield download
        finally:
            await response.aclose()

    async def _follow(self, url: str) -> httpx.Response:
        place = self._checked(url)
        for _ in range(REDIRECTS + 1):
            response = await self._open(place)
            if response.status_code not in _MOVED:
                return response
            await response.aclose()
            place = self._checked(_location(response))
        raise OutputRefused(f"{shown(url)} redirects more than {REDIRECTS} times")

    async def _open(self, place: httpx.URL) -> httpx.Response:
        # Encoded answers have no length that could be checked.
        request = request_for("GET", place, headers={"Accept-Encoding": "identity"})
        return await opened(send(self._transport, request, _TIMEOUT), str(place))

    def _checked(self, url: str) -> httpx.URL:
        place = parse_url(url)
        if origin(place) != self._own and (marked := self._redaction.text(url)) != url:
            place = parse_url(marked)
        plain = self._allow_http and place.scheme == "http" and (self._any_host or is_loopback(place.host))
        if place.scheme != "https" and not plain:
            raise OutputRefused(f"{shown(url)}: outputs are fetched from https addresses only")
        if not self._allow_private:
            refuse_private(place.host)
        return place


def parse_url(url: str) -> httpx.URL:
    """Return the parsed *url*, without user and password. Raises OutputRefused when it is no full URL."""
    try:
        place = httpx.URL(url)
    except (httpx.InvalidURL, UnicodeError) as error:
        raise OutputRefused(tidy(f"{shown(url)} is not an address: {error}")) from error
    if not place.host:
        raise OutputRefused(f"{shown(url)!r} is not an address")
    return place.copy_with(username=None, password=None) if place.userinfo else place


def _location(response: httpx.Response) -> str:
    try:
        return str(response.url.join(response.headers.get("location", "")))
    except (httpx.InvalidURL, UnicodeError) as error:
        raise OutputRefused(tidy(f"{shown(str(response.url))} redirects to no address: {error}")) from error


def _inline(url: str, largest: int) -> Download:
    head, comma, text = url[5:].partition(",")
    kind, *parameters = [part.strip().lower() for part in head.split(";")]
    # Four characters of base64, or one percent-encoded byte and its like, are never fewer bytes than a third.
    if not comma or len(text) > 4 * largest:
        raise OutputRefused("the output is a data URL without data, or one that is too large")
    content = unquote_to_bytes(text)
    if "base64" in parameters:
        content = _unpacked(content)
    return Download(_whole(content), length=len(content), content_type=kind or None, largest=largest)


def _unpacked(text: bytes) -> bytes:
    bare = b"".join(text.split()).rstrip(b"=")
    try:
        return base64.b64decode(bare + b"=" * (-len(bare) % 4), altchars=None, validate=True)
    except binascii.Error as error:
        raise OutputRefused(f"the output is a data URL that is not base64: {error}") from error


async def _whole(content: bytes) -> AsyncIterator[bytes]:
    yield content
