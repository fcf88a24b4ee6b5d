"""How requests reach the network: httpx over aiohttp, with errors that say what can have been sent."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import aiohttp
import httpx
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.payload import Payload
from yarl import URL

from batchfill.errors import UsageError
from batchfill.providers.proxies import Proxies
from batchfill.providers.wire.address_policy import PublicResolver, refuse_private
from batchfill.providers.wire.answer_heads import LONGEST_HEAD, MOST_FIELDS, LenientConnector
from batchfill.providers.wire.certificates import trusted_certificates
from batchfill.systems import system_words

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Callable

    from aiohttp.abc import AbstractResolver, AbstractStreamWriter

CONNECTIONS = 100
PIECE = 64 * 1024

# Servers close idle connections after 5 s and more. A POST that meets the closing is a lost answer,
# so that no connection is used again when it has rested for longer than this.
IDLE = 4.0

_NETWORK_ERRORS = (aiohttp.ClientError, HttpProcessingError, OSError)
PAYS = "pays"
"""Among the extensions of a request that costs money: it is held back where it may no longer be sent."""

_AUTOMATIC = ("User-Agent", "Accept", "Accept-Encoding", "Content-Type")


class Transport(httpx.AsyncBaseTransport):
    """Sends requests over aiohttp; nothing is sent twice that is not idempotent, no redirect is followed.

    ConnectError, ConnectTimeout, ProxyError and UnsupportedProtocol: nothing was sent. WriteError and
    WriteTimeout: the request's body was not handed to the socket in full, so the service cannot act on it.
    Every other error: the request may have been taken. With *public_only* it connects to public addresses
    only and raises OutputRefused for others; behind a proxy the names are the proxy's to resolve.
    """

    def __init__(
        self,
        *,
        public_only: bool = False,
        tls: ssl.SSLContext | None = None,
        resolver: AbstractResolver | None = None,
        may_pay: Callable[[], bool] = lambda: True,
    ) -> None:
        """*tls*: whom to trust; by default the system's and certifi's authorities.

        *resolver*: who looks up names; by default the event loop's threads. Not for *public_only*.
        *may_pay*: asked before the body of a request that costs money; False: WriteTimeout.
        """
        self._may_pay = may_pay
        self._public_only = public_only
        self._tls = tls
        self._resolver = resolver
        self._proxies = Proxies()
        self._sessions: dict[bool, aiohttp.ClientSession] = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send *request* once and return the answer with its body still to be read."""
        if self._public_only:
            refuse_private(request.url.host)
        # Ours are in memory whole, and to read such a body one need not wait.
        content = (
            request.read() if isinstance(request.stream, httpx.SyncByteStream) else await request.aread()
        )
        body = self._make_body(content, request) if content else None
        try:
            answer = await self._send_request(request, body)
        except _NETWORK_ERRORS as error:
            failure = _translate_error(error, body, request)
        else:
            return _to_response(answer, request)
        # Out here the cause is forgotten on purpose: aiohttp's errors show the request's headers.
        raise failure

    async def aclose(self) -> None:
        """Close every connection."""
        for session in self._sessions.values():
            await session.close()
        self._sessions.clear()

    def _make_body(self, content: bytes, request: httpx.Request) -> _Body:
        patience = request.extensions.get("timeout", {}).get("write")
        return _Body(content, patience, self._may_pay if PAYS in request.extensions else None)

    async def _send_request(self, request: httpx.Request, body: _Body | None) -> aiohttp.ClientResponse:
        url = str(request.url)
        proxy = self._proxy_for(url, request)
        return await self._session_for(proxied=proxy is not None).request(
            request.method,
            _parse_url(url, request),
            headers=_request_headers(request),
            data=body,
            allow_redirects=False,
            proxy=proxy,
            timeout=_to_timeout(request),
            ssl=self._trusted(request, proxy),
        )

    def _trusted(self, request: httpx.Request, proxy: str | None) -> ssl.SSLContext | bool:
        """Return whom to trust; where nothing is encrypted, aiohttp's own word for its default."""
        # The authorities take a fortieth of a second to read, and a base at plain http has no use for them.
        if request.url.scheme != "https" and not (proxy or "").startswith("https:"):
            return True
        return self._tls or trusted_certificates()

    def _proxy_for(self, url: str, request: httpx.Request) -> str | None:
        try:
            return self._proxies.proxy_for(url)
        except UsageError as error:
            raise httpx.ProxyError(str(error), request=request) from error

    def _session_for(self, *, proxied: bool) -> aiohttp.ClientSession:
        # A proxy may well have a private address, so that its connections have a session of their own.
        if proxied not in self._sessions:
            self._sessions[proxied] = self._open_session(public_only=self._public_only and not proxied)
        return self._sessions[proxied]

    def _open_session(self, *, public_only: bool) -> aiohttp.ClientSession:
        connector = LenientConnector(
            limit=CONNECTIONS,
            keepalive_timeout=IDLE,
            resolver=PublicResolver() if public_only else self._resolver,
        )
        return aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
            skip_auto_headers=_AUTOMATIC,
            max_line_size=LONGEST_HEAD,
            max_field_size=LONGEST_HEAD,
            max_headers=MOST_FIELDS,
        )


class _Body(Payload):
    """A request's body that remembers whether its last piece was given to the socket."""

    _autoclose = True

    def __init__(
        self, content: bytes, patience: float | None, may_send: Callable[[], bool] | None = None
    ) -> None:
        """*patience*: seconds for the whole body; *may_send*: asked before the first byte of it."""
        super().__init__(content)
        self._may_send = may_send
        self._size = len(content)
        self._patience = patience
        self.handed_over = False

    async def write(self, writer: AbstractStreamWriter) -> None:
        """Write everything, no faster than the other side takes it. Raises TimeoutError."""
        # As late as can be: to connect may have taken its time, and the process may have been stopped.
        if self._may_send is not None and not self._may_send():
            raise TimeoutError("too late to be sure that no other run has the batch")
        async with asyncio.timeout(self._patience):
            for start in range(0, len(self._value), PIECE):
                await self._hand_over(writer, start)
                await writer.drain()

    async def write_with_length(self, writer: AbstractStreamWriter, content_length: int | None) -> None:
        """Write everything: the declared length is the content's own."""
        await self.write(writer)

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        """Return the content as text."""
        return str(self._value, encoding, errors)

    async def _hand_over(self, writer: AbstractStreamWriter, start: int) -> None:
        piece = memoryview(self._value)[start : start + PIECE]
        socket = writer.transport
        # Said before the write, which may fail after the socket took the piece; a closed one takes nothing.
        last = start + PIECE >= len(self._value)
        self.handed_over = last and socket is not None and not socket.is_closing()
        await writer.write(piece)


class _AnswerBody(httpx.AsyncByteStream):
    """The body of an answer as it arrives."""

    def __init__(self, answer: aiohttp.ClientResponse, request: httpx.Request) -> None:
        self._answer = answer
        self._request = request

    async def __aiter__(self) -> AsyncIterator[bytes]:
        # Small pieces where they will grow: 16 KiB of gzip are 16 MiB at the very most.
        size = PIECE // 4 if "Content-Encoding" in self._answer.headers else PIECE
        try:
            async for piece in self._answer.content.iter_chunked(size):
                yield piece
        except _NETWORK_ERRORS as error:
            failure = _translate_error(error, None, self._request)
        else:
            return
        raise failure

    async def aclose(self) -> None:
        """Give the connection back, or close it when the body was not read to its end."""
        if self._answer.content.is_eof():
            self._answer.release()
        else:
            self._answer.close()


def _request_headers(request: httpx.Request) -> list[tuple[str, str]]:
    # As written: some servers know their headers by capital letters only.
    encoding = request.headers.encoding
    return [(name.decode(encoding), value.decode(encoding)) for name, value in request.headers.raw]


def _parse_url(url: str, request: httpx.Request) -> URL:
    try:
        return URL(url, encoded=True)
    except ValueError as error:
        raise httpx.UnsupportedProtocol(str(error), request=request) from error


def _to_response(answer: aiohttp.ClientResponse, request: httpx.Request) -> httpx.Response:
    return httpx.Response(
        status_code=answer.status,
        headers=answer.raw_headers,
        stream=_AnswerBody(answer, request),
        extensions={"http_version": b"HTTP/1.1", "reason_phrase": (answer.reason or "").encode()},
        request=request,
    )


def _to_timeout(request: httpx.Request) -> aiohttp.ClientTimeout:
    given = request.extensions.get("timeout", {})
    connect, pool = given.get("connect"), given.get("pool")
    whole = None if connect is None or pool is None else connect + pool
    return aiohttp.ClientTimeout(total=None, connect=whole, sock_connect=connect, sock_read=given.get("read"))


def _translate_error(error: Exception, body: _Body | None, request: httpx.Request) -> httpx.TransportError:
    kind = _before_sending(error) or _after_connecting(error, body)
    return kind(_words_of(error), request=request)


_NO_TLS = frozenset({"WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE"})
"""What OpenSSL makes of an answer in the clear."""


def _words_of(error: Exception) -> str:
    """Return what *error* says, without the words of libraries for where it was met."""
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return f"the proxy answered {error.status} {error.message}: check HTTPS_PROXY"
    if not isinstance(error, aiohttp.ClientConnectorError):
        return str(error) or type(error).__name__
    why, is_proxy = error.os_error, isinstance(error, aiohttp.ClientProxyConnectionError)
    # That of a name that is not found is not the system's number.
    is_system = is_proxy or type(error) is aiohttp.ClientConnectorError
    words = system_words(why) if is_system else why.strerror or str(why)
    if getattr(why, "reason", None) in _NO_TLS:
        words = "what answers there speaks no TLS: is it http?"
    return f"cannot connect to {'the proxy ' if is_proxy else ''}{error.host}:{error.port}: {words}"


def _before_sending(error: Exception) -> type[httpx.TransportError] | None:
    if isinstance(error, aiohttp.ClientProxyConnectionError | aiohttp.ClientHttpProxyError):
        return httpx.ProxyError
    if isinstance(error, aiohttp.ClientConnectorError):
        return httpx.ConnectError
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return httpx.ConnectTimeout
    if isinstance(error, aiohttp.InvalidURL | aiohttp.NonHttpUrlClientError):
        return httpx.UnsupportedProtocol
    return None


def _after_connecting(error: Exception, body: _Body | None) -> type[httpx.TransportError]:
    if body is not None and not body.handed_over:
        return httpx.WriteTimeout if isinstance(error, TimeoutError) else httpx.WriteError
    if isinstance(error, TimeoutError):
        return httpx.ReadTimeout
    return httpx.ReadError if isinstance(error, OSError) else httpx.RemoteProtocolError
