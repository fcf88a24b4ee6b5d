"""Which proxy the environment names for an address."""

from __future__ import annotations

import re
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from batchfill.errors import UsageError
from batchfill.settings.addresses import is_loopback

if TYPE_CHECKING:
    from collections.abc import Mapping


class Proxies:
    """The proxies of the environment, read once: HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY."""

    def __init__(self) -> None:
        self._proxies: Mapping[str, str] = getproxies()
        self._known: dict[tuple[str, str, int | None], str | None] = {}

    def proxy_for(self, url: str) -> str | None:
        """Return the proxy for *url*, None where there is none. Raises UsageError for a SOCKS proxy."""
        if not self._proxies:
            return None  # of most, and each request asks
        parts = urlsplit(url)
        origin = (parts.scheme, parts.hostname or "", parts.port)
        if origin not in self._known:
            self._known[origin] = self._choose_proxy(*origin)
        return self._known[origin]

    def _choose_proxy(self, scheme: str, host: str, port: int | None) -> str | None:
        proxy = self._proxies.get(scheme) or self._proxies.get("all")
        # What is asked of this machine stays on it, whatever NO_PROXY forgets to say.
        if not proxy or is_loopback(host) or self._is_bypassed(host, port):
            return None
        return _check_proxy(proxy)

    def _is_bypassed(self, host: str, port: int | None) -> bool:
        named = self._proxies.get("no")
        if named is None:
            return bool(proxy_bypass(host))  # what the system's own settings say
        return any(_is_meant(entry, host, port) for entry in re.split(r"[\s,]+", named) if entry)


def _is_meant(entry: str, host: str, port: int | None) -> bool:
    """Whether an *entry* of NO_PROXY means *host*, as curl reads it.

    `corp.test`, `.corp.test` and `*.corp.test`: the name and all below it. `10.0.0.0/8`: the addresses of a
    network. `*`: everything. An entry may end in a port.
    """
    name, host = entry.lower(), host.lower().rstrip(".")
    if name == "*" or _is_in_network(name.strip("[]"), host):
        return True
    if match := re.fullmatch(r"(\[.*\]|[^:]*):(\d+)", name):
        return int(match[2]) == port and _is_meant(match[1], host, None)
    name = name.removeprefix("*").strip(".")
    return bool(name) and (host == name or host.endswith(f".{name}"))


def _is_in_network(network: str, host: str) -> bool:
    try:
        return ip_address(host) in ip_network(network, strict=False)
    except ValueError:
        return False


def _check_proxy(proxy: str) -> str:
    if "://" not in proxy:
        return f"http://{proxy}"
    scheme = proxy.partition("://")[0].lower()
    if scheme not in ("http", "https"):
        raise UsageError(f"a {scheme} proxy is not supported: name an http one in HTTPS_PROXY or unset it")
    return proxy
