"""Opening and closing what a run needs to talk to one provider."""

from __future__ import annotations

import asyncio
import socket
import time
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx

from batchfill.domain.token import NO_EXTRAS
from batchfill.providers.downloads import OutputClient, OutputPolicy
from batchfill.providers.endpoints import origin_of
from batchfill.providers.proxies import Proxies
from batchfill.providers.rate_limiter import RateLimiter
from batchfill.providers.replicate.client import Service
from batchfill.providers.transport import Transport
from batchfill.providers.wire.address_policy import is_public
from batchfill.providers.wire.certificates import refuse_unreadable
from batchfill.settings.addresses import LOCAL, is_loopback

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from batchfill.domain.token import ExtraSecrets, Token
    from batchfill.providers.provider_protocol import Provider

_LOOKUP = 10.0


@asynccontextmanager
async def open_service(
    base: str,
    token: Token,
    *,
    extras: ExtraSecrets = NO_EXTRAS,
    reads_per_minute: float,
    answer_timeout: float,
    transport: httpx.AsyncBaseTransport | None = None,
    clock: Callable[[], float] = time.time,
    may_pay: Callable[[], bool] = lambda: True,
) -> AsyncIterator[tuple[Provider, OutputClient]]:
    """Open the provider at *base* and the way to its outputs; close both at the end.

    *extras*: what the base gets in addition to the token. With *transport* everything goes through it, and it
    stays open. *clock*: ours, in seconds since the epoch. *may_pay*: see Transport.
    Raises UsageError when the environment names a proxy for *base*, or certificates, that cannot be used.
    """
    proxy = Proxies().proxy_for(base)
    if transport is None:
        refuse_unreadable()
    near = await _is_near(base, resolve=transport is None and proxy is None)
    loopback = is_loopback(urlsplit(base).hostname or "")
    async with AsyncExitStack() as stack:
        calls = transport or _open_transport(stack, public_only=False, may_pay=may_pay)
        fetches = transport or _open_transport(stack, public_only=not near)
        reads = RateLimiter(reads_per_minute)
        service: Provider = Service(
            base,
            token,
            extras=extras,
            transport=calls,
            reads=reads,
            answer_timeout=answer_timeout,
            clock=clock,
        )
        own = httpx.URL(service.base)
        yield (
            service,
            OutputClient(
                fetches,
                OutputPolicy(
                    allow_private=near,
                    allow_http=loopback,
                    # What --plain-http allowed for the base itself.
                    private_http=near and not loopback and own.scheme == "http",
                    own=origin_of(own),
                ),
                redaction=service.redaction,
            ),
        )


@asynccontextmanager
async def open_outputs(base: str) -> AsyncIterator[OutputClient]:
    """Open the way to pictures at http and https addresses, without a token; close it at the end.

    Private addresses are refused unless *base* itself is near, or is that of the local emulator.
    """
    near = base == LOCAL or await _is_near(base, resolve=Proxies().proxy_for(base) is None)
    async with AsyncExitStack() as stack:
        policy = OutputPolicy(allow_private=near, allow_http=True, any_host=True)
        yield OutputClient(_open_transport(stack, public_only=not near), policy)


def _open_transport(stack: AsyncExitStack, **options: Any) -> Transport:
    transport = Transport(**options)
    stack.push_async_callback(transport.aclose)
    return transport


async def _is_near(base: str, *, resolve: bool) -> bool:
    """Whether *base* is on this machine or in a private network, as far as can be found out."""
    host = urlsplit(base).hostname or ""
    if is_loopback(host):
        return True
    try:
        return not is_public(host)
    except ValueError:
        return resolve and await _has_private_address(host)


async def _has_private_address(host: str) -> bool:
    try:
        async with asyncio.timeout(_LOOKUP):
            found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return False
    return any(not is_public(str(address[4][0])) for address in found)
