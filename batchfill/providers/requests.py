"""Requests to the user's base: the only place that knows the token's header."""

from __future__ import annotations

import asyncio
import secrets
import time
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

import httpx

from batchfill._version import __version__
from batchfill.clock import loop_time
from batchfill.domain.token import NO_EXTRAS
from batchfill.providers.clock_skew import Moment, ServiceClock
from batchfill.providers.redaction import Redaction
from batchfill.providers.wire.codings import TooLong, to_utf8, unpack_body

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from batchfill.domain.token import ExtraSecrets, Token


AGENT = f"batchfill/{__version__}"
# Made once: httpx looks at each header of a request several times, and at those that it has made not again.
_NAMED = {"Accept": "*/*", "Accept-Encoding": "gzip, deflate", "User-Agent": AGENT}
_OURS = httpx.Headers(_NAMED)
_FRESH = httpx.Headers({**_NAMED, "Cache-Control": "no-cache", "Pragma": "no-cache"})
"""On every request to the service: a cache on the way would repeat what was true before."""


def request_for(
    method: str,
    url: httpx.URL | str,
    *,
    headers: Mapping[str, str] | None = None,
    always: httpx.Headers = _OURS,
    content: bytes = b"",
    **given: Any,
) -> httpx.Request:
    """Return a request that bears our name; *given* goes to httpx as it is (files, params, extensions).

    *headers* replace those of the same names among the ones that it *always* has.
    """
    if "files" not in given:
        # Said here: to find out what is there, httpx would make the headers two times more.
        url = httpx.URL(url)
        said = {"Host": url.netloc.decode("ascii")} if url.host else {}
        if content or method == "POST":
            said["Content-Length"] = str(len(content))
        headers, given["stream"] = {**said, **(headers or {})}, httpx.ByteStream(content)
    return httpx.Request(method, url, headers=_with(always, headers) if headers else always, **given)


def _with(headers: httpx.Headers, more: Mapping[str, str]) -> httpx.Headers:
    """Return *headers* with *more*, which replace those of the same names."""
    found = httpx.Headers(headers)
    for name, value in more.items():
        found[name] = value
    return found


@lru_cache(maxsize=64)
def _url_of(text: str) -> httpx.URL:
    # Every create and every list goes to the same address, and to read one takes as long as to send it.
    return httpx.URL(text)


async def send_once(
    transport: httpx.AsyncBaseTransport, request: httpx.Request, timeout: httpx.Timeout
) -> httpx.Response:
    """Send *request* once and return the answer, its body unread. Raises httpx.RequestError.

    Without httpx's client, which would look at cookies and prepare the request that an answer redirects to,
    and fail on addresses made to hurt: a refused create would then look like a lost one.
    """
    request.extensions["timeout"] = timeout.as_dict()
    response = await transport.handle_async_request(request)
    response.request = request
    return response


LONGEST_ANSWER = 16 * 1024 * 1024
"""Bytes of an answer, unpacked: four large pictures inside it still fit."""

LONGEST_PAGE = 64 * 1024 * 1024
"""Bytes of a page of a listing: a hundred predictions with a picture and a mask inside each still fit."""

UNSHOWN = 512
"""Bytes at the end of a broken answer that are never shown: a token in any spelling fits."""

CONNECT = 30.0
_TAKEN = "taken"
"""Among a request's extensions: the head of its answer was a success."""

SLOWEST_UPLOAD = 50_000
"""Bytes a second below which an upload is given up."""


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """One whole answer, each token in it marked."""

    status: int
    headers: httpx.Headers
    body: bytes = field(repr=False)
    """Unpacked, its text in UTF-8."""
    broken: str | None = None
    """Why *body* is only its beginning; None: it came whole."""
    too_long: bool = False
    """Whether that is because it is longer than an answer may be: the next one will be no other."""

    @property
    def shown(self) -> bytes:
        """The body without what may be the beginning of a token that a break has cut."""
        return self.body if self.broken is None else self.body[:-UNSHOWN]

    @property
    def succeeded(self) -> bool:
        """Whether the status is 2xx."""
        return 200 <= self.status < 300


class AnswerBroken(httpx.RemoteProtocolError):
    """The head of an answer said that the request was taken; of its body nothing is known."""


class AuthorizedClient:
    """Asks the service at one base: each request once, with the token, to that base only."""

    def __init__(
        self,
        base: str,
        token: Token,
        *,
        extras: ExtraSecrets = NO_EXTRAS,
        transport: httpx.AsyncBaseTransport,
        answer_timeout: float,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """*extras*: what the base gets in addition; *answer_timeout*: seconds of silence after a request.

        *clock*: ours, in seconds since the epoch.
        """
        self.base = base.rstrip("/")
        self.redaction = Redaction(token, extras)
        self._token = token
        self._extras = extras
        self._clock = ServiceClock()
        self.requests = 0
        self._transport = transport
        self._answer_timeout = answer_timeout
        self._now = clock
        # By this name a server that several runs share gives each of them its turn.
        self._always = _with(_FRESH, {"User-Agent": f"{AGENT} ({secrets.token_hex(4)})"})

    @property
    def clock_offset(self) -> float | None:
        """Seconds that the service's clock is ahead of ours; None while it is not known."""
        return self._clock.offset(self._read_clocks())

    def _read_clocks(self) -> Moment:
        return Moment(self._now(), loop_time())

    async def send_request(
        self,
        method: str,
        path: str,
        *,
        below_origin: bool = False,
        longest: int = LONGEST_ANSWER,
        headers: Mapping[str, str] | None = None,
        **given: Any,
    ) -> HttpResponse:
        """Send one request to *path* below the base and return the answer, of at most *longest* bytes.

        *below_origin*: the path begins at the base's origin instead.
        *given* goes to httpx as it is (content, files, params). Raises httpx.RequestError, whose
        kind says whether the request can have been taken (see Transport).
        """
        url = httpx.URL(self.base).join(path) if below_origin else _url_of(f"{self.base}{path}")
        request = request_for(method, url, headers=headers, always=self._always, **given)
        timeout = timeout_for(int(request.headers.get("content-length", 0)), self._answer_timeout)
        try:
            async with asyncio.timeout(_whole_timeout(timeout)):
                return await self._exchange_bounded(request, timeout, longest)
        except TimeoutError:
            message = f"no whole answer within {_whole_timeout(timeout):.0f} s"
            kind = AnswerBroken if _TAKEN in request.extensions else httpx.ReadTimeout
            failure: httpx.RequestError = kind(message, request=request)
        except httpx.RequestError as error:
            failure = type(error)(self.redaction.text(str(error)), request=request)
        # Out here neither cause nor traceback comes along: they hold what the service sent, as it sent it.
        raise failure

    async def open_url(self, url: str) -> httpx.Response:
        """Ask for *url*, which the caller has found to be of the base's own origin; its body is unread."""
        request = request_for("GET", url, headers={"Accept-Encoding": "identity"})
        # Byte for byte: an address of an output may be signed.
        return await self._send_once(request, timeout_for(0, self._answer_timeout), url=request.url)

    async def _exchange_bounded(
        self, request: httpx.Request, timeout: httpx.Timeout, longest: int
    ) -> HttpResponse:
        asked = self._read_clocks()
        response = await self._send_once(request, timeout, url=self._with_query(request.url))
        if response.is_success:
            request.extensions[_TAKEN] = True
        try:
            self._clock.learn_date(response.headers.get("date"), asked=asked, answered=self._read_clocks())
            headers = self.redaction.headers(response.headers)
            body, broken, too_long = await _read_bounded(response, longest)
            return HttpResponse(response.status_code, headers, self.redaction.body(body), broken, too_long)
        finally:
            await response.aclose()

    async def _send_once(
        self, request: httpx.Request, timeout: httpx.Timeout, *, url: httpx.URL
    ) -> httpx.Response:
        self.requests += 1
        response = await send_once(self._transport, self._signed(request, url), timeout)
        response.request = request
        return response

    def _signed(self, request: httpx.Request, url: httpx.URL) -> httpx.Request:
        """Return *request* to *url* with the token and further headers: at the last moment, and here only.

        A copy: errors and answers keep the request that they belong to, and must not keep the secrets.
        """
        secrets = {"Authorization": f"Bearer {self._token.reveal()}"}
        secrets |= {name: value.reveal() for name, value in self._extras.headers.items()}
        headers = _with(request.headers, secrets)
        return httpx.Request(
            request.method, url, headers=headers, stream=request.stream, extensions=request.extensions
        )

    def _with_query(self, url: httpx.URL) -> httpx.URL:
        """Return *url* with the base's own query before the call's."""
        if self._extras.query is None:
            return url
        parts = (self._extras.query.reveal().encode(), url.query)
        return url.copy_with(query=b"&".join(filter(None, parts)))


def timeout_for(size: int, answer_timeout: float) -> httpx.Timeout:
    """Return the time-outs of a request with a body of *size* bytes."""
    return httpx.Timeout(
        connect=CONNECT, pool=CONNECT, write=30.0 + size / SLOWEST_UPLOAD, read=answer_timeout
    )


def _whole_timeout(timeout: httpx.Timeout) -> float:
    # Longer than the parts in their order, so that a part's time-out, which says more, comes first.
    parts: Mapping[str, float | None] = timeout.as_dict()
    return sum(part or 0.0 for part in parts.values()) + 30.0


async def _read_bounded(response: httpx.Response, longest: int) -> tuple[bytes, str | None, bool]:
    """Return the body, or as much of it as came and may be taken.

    Then why that is not all, and whether it is too long.
    """
    assert isinstance(response.stream, httpx.AsyncByteStream)
    pieces, size = [], 0
    broken: str | None = None
    too_long = False
    try:
        async for piece in response.stream:
            pieces.append(piece)
            size += len(piece)
            if size > longest:
                break
    except httpx.RequestError as error:
        # What came before the break may hold all that matters.
        broken = str(error)
    body = b"".join(pieces)
    try:
        body = unpack_body(body, response.headers.get_list("content-encoding"), longest)
    except TooLong:
        body, broken, too_long = body[:longest], f"the answer is longer than {longest // 2**20} MiB", True
    return to_utf8(body, response.headers.get("content-type", "")), broken, too_long
