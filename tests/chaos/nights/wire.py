"""A network without sockets: requests go straight to a provider's own server, byte by byte as on a wire."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import h11
import httpx

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from aiohttp import web

_GONE = object()


class Wire(httpx.AsyncBaseTransport):
    """Carries requests to servers by their origin; *before* and *after* may delay them, or raise."""

    def __init__(self) -> None:
        self.servers: dict[str, web.Server] = {}
        """By origin: `http://127.0.0.1:1`."""
        self._open: set[_Line] = set()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send *request* and return the head of its answer."""
        origin = f"{request.url.scheme}://{request.url.netloc.decode()}"
        server = self.servers.get(origin)
        if server is None:
            raise httpx.ConnectError(f"nobody listens at {origin}", request=request)
        line = _Line(server, request)
        self._open.add(line)
        try:
            return await line.exchange(lambda: self._open.discard(line))
        except BaseException:
            self._open.discard(line)
            line.close()
            raise

    def cut(self, error: Callable[[], BaseException] | None = None) -> None:
        """Break every open connection: whoever waits for an answer gets *error*, or sees a reset."""
        for line in list(self._open):
            line.fail(error() if error else ConnectionResetError("the network broke down"))
        self._open.clear()


class _Line(asyncio.Transport):
    """One connection, for one request: the server's end of it is this transport."""

    def __init__(self, server: web.Server, request: httpx.Request) -> None:
        super().__init__({"peername": ("127.0.0.1", 1), "sockname": ("127.0.0.1", 1)})
        self._request = request
        self._client = h11.Connection(h11.CLIENT, max_incomplete_event_size=1 << 20)
        self._news: asyncio.Queue[bytes | BaseException | object] = asyncio.Queue()
        self._closing = False
        self._server = server()
        self._server.connection_made(self)

    async def exchange(self, done: Callable[[], None]) -> httpx.Response:
        """Send the request and wait for the head of the answer; *done* is called after its last byte."""
        content = await self._request.aread()
        headers = list(self._request.headers.raw)
        head = h11.Request(method=self._request.method, target=self._request.url.raw_path, headers=headers)
        sent = [self._client.send(head)]
        if content:
            sent.append(self._client.send(h11.Data(content)))
        sent.append(self._client.send(h11.EndOfMessage()))
        self._server.data_received(b"".join(piece for piece in sent if piece))
        while not isinstance(event := await self._event(), h11.Response):
            pass
        body = _Body(self, done)
        return httpx.Response(
            event.status_code, headers=list(event.headers.raw_items()), stream=body, request=self._request
        )

    async def body(self) -> AsyncIterator[bytes]:
        """Yield the answer's body as it comes."""
        while not isinstance(event := await self._event(), h11.EndOfMessage):
            if isinstance(event, h11.Data):
                yield bytes(event.data)

    def fail(self, error: BaseException) -> None:
        """Let whoever waits for the answer see *error*; the server sees a broken connection."""
        self._news.put_nowait(error)
        self.close()

    async def _event(self) -> Any:
        try:
            while (event := self._client.next_event()) is h11.NEED_DATA:
                news = await self._next()
                if isinstance(news, BaseException):
                    raise news
                self._client.receive_data(b"" if news is _GONE else news)
        except h11.RemoteProtocolError as error:
            raise httpx.RemoteProtocolError(str(error), request=self._request) from error
        except OSError as error:
            raise httpx.ReadError(str(error), request=self._request) from error
        return event

    async def _next(self) -> Any:
        patience = self._request.extensions.get("timeout", {}).get("read")
        try:
            async with asyncio.timeout(patience):
                return await self._news.get()
        except TimeoutError as error:
            raise httpx.ReadTimeout(f"silence for {patience} s", request=self._request) from error

    # What the server does with its end.

    def write(self, data: Any) -> None:
        if not self._closing:
            self._news.put_nowait(bytes(data))

    def writelines(self, list_of_data: Any) -> None:
        self.write(b"".join(list_of_data))

    def is_closing(self) -> bool:
        return self._closing

    def close(self) -> None:
        if not self._closing:
            self._closing = True
            self._news.put_nowait(_GONE)
            asyncio.get_running_loop().call_soon(self._server.connection_lost, None)

    def abort(self) -> None:
        self._news.put_nowait(ConnectionResetError("connection reset by peer"))
        self.close()

    def pause_reading(self) -> None:
        """Everything was delivered at once."""

    def resume_reading(self) -> None:
        """Everything was delivered at once."""

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Whatever is written is taken."""


class _Body(httpx.AsyncByteStream):
    """The body of an answer as it arrives."""

    def __init__(self, line: _Line, done: Callable[[], None]) -> None:
        self._line, self._done = line, done

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for piece in self._line.body():
            yield piece

    async def aclose(self) -> None:
        self._line.close()
        self._done()
