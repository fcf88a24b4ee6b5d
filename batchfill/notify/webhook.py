"""Where notifications go: an address that the user named, which never sees the token."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpx

from batchfill.errors import NotifyError
from batchfill.notify.message import UNTOLD, as_json, ntfy_headers, text_line
from batchfill.providers.error_text import one_line
from batchfill.providers.requests import request_for, send_once
from batchfill.providers.transport import Transport
from batchfill.providers.wire.resolver import DaemonResolver
from batchfill.settings.addresses import NTFY

if TYPE_CHECKING:
    from batchfill.domain.progress import Notification

POST_TIMEOUT = 5.0
"""Seconds for a whole notification: the end of a run waits no longer for it."""

_TIMEOUT = httpx.Timeout(POST_TIMEOUT)


class Webhook:
    """Posts news to one address, over a connection of their own: no token, no cookie, no redirect.

    An address that begins with `ntfy+`, or whose host is `ntfy.` and something (ntfy.sh, ntfy.example.com),
    gets a line of text with a title, as ntfy and its likes show it; every other gets JSON.
    """

    failure = UNTOLD

    def __init__(self, address: str) -> None:
        """*address*: as settings.read_notify returns it."""
        self._url = address.removeprefix(NTFY)
        self._host = urlsplit(self._url).hostname or ""
        self._wants_text = address != self._url or self._host.startswith("ntfy.")

    async def post(self, news: Notification) -> None:
        """Post *news* once, within PATIENCE.

        Raises NotifyError, which names the host alone: a path is a key.
        """
        try:
            async with asyncio.timeout(POST_TIMEOUT):
                status = await self._send_request(news)
        except TimeoutError as error:
            raise NotifyError(f"no answer from {self._shown_host} within {POST_TIMEOUT:.0f} s") from error
        # Of addresses that no host can have: their names break Python's own look-up.
        except (httpx.RequestError, httpx.InvalidURL, UnicodeError) as error:
            raise NotifyError(f"{self._shown_host} {_what_failed(error)}") from None
        if not 200 <= status < 300:
            moved = ", a redirect, which is not followed: name its target" if 300 <= status < 400 else ""
            raise NotifyError(f"{self._shown_host} answered {status}{moved}")

    async def _send_request(self, news: Notification) -> int:
        transport = Transport(resolver=DaemonResolver())
        try:
            response = await send_once(transport, self._make_request(news), _TIMEOUT)
            await response.aclose()
        finally:
            await transport.aclose()
        return response.status_code

    def _make_request(self, news: Notification) -> httpx.Request:
        if self._wants_text:
            return request_for(
                "POST", self._url, headers=ntfy_headers(news), content=text_line(news).encode()
            )
        headers = {"Content-Type": "application/json"}
        return request_for("POST", self._url, headers=headers, content=as_json(news))

    @property
    def _shown_host(self) -> str:
        return one_line(self._host, longest=120)


def _what_failed(error: Exception) -> str:
    if isinstance(error, httpx.ConnectError):
        return f"cannot be reached: {one_line(str(error))}"
    # The words of other errors may hold the whole address.
    return (
        "gave no answer" if isinstance(error, httpx.ReadError | httpx.ProtocolError) else "cannot be reached"
    )
