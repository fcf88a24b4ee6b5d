"""One request as it goes to a transport: no cookies, no environment, no redirects, nothing sent twice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx

from batchfill import __version__

if TYPE_CHECKING:
    from collections.abc import Mapping

_OURS = {"Accept": "*/*", "Accept-Encoding": "gzip, deflate", "User-Agent": f"batchfill/{__version__}"}


def request_for(
    method: str,
    url: httpx.URL | str,
    *,
    headers: Mapping[str, str] | None = None,
    **given: Any,
) -> httpx.Request:
    """Return a request that bears our name; *given* goes to httpx as it is (content, files, params)."""
    return httpx.Request(method, url, headers={**_OURS, **(headers or {})}, **given)


async def send(
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
