"""A base that is no service but a model server of one's own: how a Cog container is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx

from batchfill.providers.error_text import parse_json

if TYPE_CHECKING:
    from batchfill.providers.rate_limiter import RateLimiter
    from batchfill.providers.requests import AuthorizedClient

_HEALTH_CHECK = "/health-check"
_PATHS = frozenset({"/", "/v1"})
"""Of bases that may be a container's. Below the origin of a gateway with another one is a stranger."""

_WORDS = frozenset({"READY", "BUSY", "STARTING", "SETUP_FAILED", "DEFUNCT", "UNHEALTHY", "UNKNOWN"})


async def find_container(line: AuthorizedClient, reads: RateLimiter) -> str | None:
    """Return the address of the Cog container that a base is at; None where it is another thing."""
    if httpx.URL(line.base).path not in _PATHS:
        return None
    await reads.acquire()
    try:
        answer = await line.send_request("GET", _HEALTH_CHECK, below_origin=True)
    except httpx.RequestError:
        return None
    if not answer.succeeded or not _tells_health(answer.body):
        return None
    return str(httpx.URL(line.base).copy_with(raw_path=b"/")).rstrip("/")


def _tells_health(body: bytes) -> bool:
    try:
        told = parse_json(body)
    except ValueError:
        return False
    # A gateway may tell its health by the same path and word, but of no model's setup.
    return isinstance(told, dict) and "setup" in told and str(told.get("status")) in _WORDS
