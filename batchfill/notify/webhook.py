"""Where notifications go: an address that the user named, which never sees the token."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpx

from batchfill.errors import NotTold
from batchfill.notify.message import as_json, line, ntfy_headers
from batchfill.providers.error_text import tidy
from batchfill.providers.requests import request_for, send
from batchfill.providers.resolver import ForsakenResolver
from batchfill.providers.transport import Transport
from batchfill.settings.addresses import NTFY

if TYPE_CHECKING:
    from batchfill.domain.progress import News

PATIENCE = 5.0
"""Seconds for a whole notification: the end of a run waits no longer for it."""

_TIMEOUT = httpx.Timeout(PATIENCE)


class Receiver:
    """Posts news to one address, over a connection of their own: no token, no cookie, no redirect.

    An address that begins with `ntfy+`, or whose host is `ntfy.` and something (ntfy.sh, ntfy.example.com),
    gets a line of text with a title, as ntfy and its likes show it; every other gets JSON.
    """

    def __init__(self, address: str) -> None:
        """*address*: as settings.read_notify returns it."""
        self._url = address.removeprefix(NTFY)
        self._host = urlsplit(self._url).hostname or ""
        self._wants_text = address != self._url or self._host.startswith("ntfy.")

    async def post(self, news: News) -> None:
        """Post *news* once, within PATIENCE. Raises NotTold, which names the host alone: a path is a key."""
        try:
            async with asyncio.timeout(PATIENCE):
                status = await self._send(news)
        except TimeoutError as error:
            raise NotTold(f"no answer from {self._shown} within {PATIENCE:.0f} s") from error
        # Of addresses that nobody could have: their names break Python's own look-up.
        except (httpx.RequestError, httpx.InvalidURL, UnicodeError) as error:
            raise NotTold(f"{self._shown} {_what_failed(error)}") from None
        if not 200 <= status < 300:
            moved = ", a redirect, which is not followed: name its target" if 300 <= status < 400 else ""
            raise NotTold(f"{self._shown} answered {status}{moved}")

    async def _send(self, news: News) -> int:
        transport = Transport(resolver=ForsakenResolver())
        try:
            response = await send(transport, self._request(news), _TIMEOUT)
            await response.aclose()
        finally:
            await transport.aclose()
        return response.status_code

    def _request(self, news: News) -> httpx.Request:
        if self._wants_text:
            return request_for("POST", self._url, headers=ntfy_headers(news), content=line(news).encode())
        headers = {"Content-Type": "application/json"}
        return request_for("POST", self._url, headers=headers, content=as_json(news))

    @property
    def _shown(self) -> str:
        return tidy(self._host, longest=120)


def _what_failed(error: Exception) -> str:
    if isinstance(error, httpx.ConnectError):
        return f"cannot be reached: {tidy(str(error))}"
    # The words of other errors may hold the whole address.
    return (
        "gave no answer" if isinstance(error, httpx.ReadError | httpx.ProtocolError) else "cannot be reached"
    )
