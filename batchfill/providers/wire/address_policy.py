"""Which addresses an output may be fetched from, checked where the connection is made."""

from __future__ import annotations

import socket
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING

from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver

from batchfill.errors import OutputRefused

if TYPE_CHECKING:
    from collections.abc import Iterable

# Some proxies answer every name with an address from this test range and route by it.
_FAKED = ip_network("198.18.0.0/15")
_NAT64 = IPv6Network("64:ff9b::/96")
_SITE_LOCAL = IPv6Network("fec0::/10")


def is_public(text: str) -> bool:
    """Whether *text*, an IP address, belongs to the open internet. Raises ValueError for anything else."""
    address = _embedded_address(ip_address(text))
    if address in _FAKED:
        return True
    if address.is_multicast or address.is_reserved or address in _SITE_LOCAL:
        return False
    return address.is_global


def refuse_private(host: str) -> None:
    """Raise OutputRefused when *host* is an IP address that is not public; names pass, unresolved."""
    try:
        public = is_public(host)
    except ValueError:
        return
    if not public:
        raise _refuse_host(host)


class PublicResolver(AbstractResolver):
    """Resolves names, and hands on only public addresses. Raises OutputRefused when none is left."""

    def __init__(self) -> None:
        self._names = ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return the public addresses of *host*."""
        found = await self._names.resolve(host, port, family)
        return _public_only(host, found)

    async def close(self) -> None:
        """Release nothing: threads belong to the loop."""
        await self._names.close()


def _public_only(host: str, found: Iterable[ResolveResult]) -> list[ResolveResult]:
    public = [result for result in found if is_public(result["host"])]
    if not public:
        raise _refuse_host(host)
    return public


def _refuse_host(host: str) -> OutputRefused:
    return OutputRefused(f"{host[:100]} is an address of a private network, from which nothing is fetched")


def _embedded_address(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """Return the IPv4 address that *address* stands for on its way through a translator, else itself."""
    if isinstance(address, IPv4Address):
        return address
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped or address.sixtofour or address
