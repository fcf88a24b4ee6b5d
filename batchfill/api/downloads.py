"""One output on its way: its bytes within bounds, and what an answer other than a success means."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import httpx

from batchfill.api.clock import loop_time
from batchfill.api.refusals import wait_of
from batchfill.api.words import tidy
from batchfill.errors import BatchfillError, NotFound, OutputRefused, TryAgain

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable

LARGEST = 256 * 1024 * 1024
"""Bytes of one output."""

LONGEST = 600.0
"""Seconds for one output."""

LONGEST_HEAD = 240.0
"""Seconds until it begins: a free connection, the connection, the request, and a head that may dribble."""


class SignatureWanted(BatchfillError):
    """An output's address answered 401 or 403."""


class Download:
    """The bytes of one output, still to be read."""

    def __init__(
        self, pieces: AsyncIterator[bytes], *, length: int | None, content_type: str | None, largest: int
    ) -> None:
        self.length = length
        """Bytes as announced, None when unknown."""
        self.content_type = content_type
        """As announced, without parameters: `image/webp`."""
        self._pieces = pieces
        self._largest = largest
        self._deadline = loop_time() + LONGEST

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the bytes, once.

        Raises TryAgain when they end early, stall or take too long, OutputRefused when there are too many.
        """
        size = 0
        while piece := await self._next(size):
            size += len(piece)
            self._check_bounds(size)
            yield piece
        if self.length is not None and size != self.length:
            raise TryAgain(f"the output has {size} bytes where {self.length} were announced")

    async def _next(self, size: int) -> bytes:
        """Return the piece behind the first *size* bytes; empty at the end."""
        try:
            # By the clock too: what comes may unpack to nothing for ever.
            async with asyncio.timeout(max(0.0, self._deadline - loop_time())):
                return await anext(self._pieces, b"")
        except TimeoutError:
            raise self._too_long(size) from None
        except httpx.RequestError as error:
            failure = TryAgain(tidy(f"the output broke off after {size} bytes: {error}"))
        # Out here the cause is forgotten on purpose: it knows the address, which may hold the token.
        raise failure

    def _check_bounds(self, size: int) -> None:
        if size > self._largest:
            raise _too_large(self._largest)
        if loop_time() > self._deadline:
            raise self._too_long(size)

    def _too_long(self, size: int) -> TryAgain:
        return TryAgain(f"the output took longer than {LONGEST:.0f} s, {size} bytes so far")


async def opened(answer: Awaitable[httpx.Response], url: str) -> httpx.Response:
    """Return the awaited *answer*. Raises TryAgain when there is none, OutputRefused for a useless URL."""
    try:
        async with asyncio.timeout(LONGEST_HEAD):
            return await answer
    except TimeoutError as error:
        raise TryAgain(f"{shown(url)} did not begin within {LONGEST_HEAD:.0f} s") from error
    except httpx.UnsupportedProtocol as error:
        raise OutputRefused(tidy(f"{shown(url)} is no address that can be fetched: {error}")) from error
    except httpx.RequestError as error:
        raise TryAgain(tidy(f"{shown(url)} cannot be fetched: {error}")) from error


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
    """Return the body of a success. Raises NotFound, SignatureWanted, OutputRefused or TryAgain."""
    _check_status(response)
    encoded = response.headers.get("content-encoding", "identity").lower() != "identity"
    announced = response.headers.get("content-length", "")
    length = int(announced) if announced.isascii() and announced.isdigit() and not encoded else None
    if length is not None and length > largest:
        raise _too_large(largest)
    kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    return Download(response.aiter_bytes(), length=length, content_type=kind or None, largest=largest)


def shown(url: str) -> str:
    """Return *url* as messages show it: without its query, which may hold a signature, and not too long."""
    return tidy(url.partition("?")[0].partition("#")[0], longest=120)


def _check_status(response: httpx.Response) -> None:
    status, text = response.status_code, f"{shown(str(response.url))} answered {response.status_code}"
    if status in (401, 403):
        raise SignatureWanted(text)
    if status in (404, 410):
        raise NotFound(text)
    # A part or nothing at all was not asked for.
    if not 200 <= status < 300 or status in (204, 205, 206):
        raise TryAgain(text, wait=wait_of(response.headers, b""))


def _too_large(largest: int) -> OutputRefused:
    return OutputRefused(f"the output is larger than {largest / 2**20:.4g} MiB")
