"""The httpx client that both calls and fetches use: no cookies, no environment, no redirects."""

from __future__ import annotations

from http.cookiejar import CookieJar, DefaultCookiePolicy

import httpx

from batchfill import __version__


def client_over(transport: httpx.AsyncBaseTransport) -> httpx.AsyncClient:
    """Return a client over *transport* that adds our name to each request and nothing else.

    Where an answer redirects to is found by location_of: the client itself does not look at it.
    """
    return httpx.AsyncClient(
        transport=transport,
        trust_env=False,
        follow_redirects=False,
        headers={"User-Agent": f"batchfill/{__version__}", "Accept-Encoding": "gzip, deflate"},
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
        event_hooks={"response": [_set_location_aside]},
    )


def location_of(response: httpx.Response) -> str:
    """Return where *response* redirects to, as it says it; empty when it does not say."""
    return str(response.extensions.get("location", ""))


async def _set_location_aside(response: httpx.Response) -> None:
    # httpx prepares the next request even when it is not to be sent, and fails on addresses made to hurt:
    # a refused create would then look like a lost one.
    response.extensions["location"] = response.headers.pop("location", "")
