"""Which proxy the environment names for an address."""

from __future__ import annotations

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
        return bool(proxy_bypass(f"{host}:{port}" if port else host))


def _check_proxy(proxy: str) -> str:
    if "://" not in proxy:
        return f"http://{proxy}"
    scheme = proxy.partition("://")[0].lower()
    if scheme not in ("http", "https"):
        raise UsageError(f"a {scheme} proxy is not supported: name an http one in HTTPS_PROXY or unset it")
    return proxy
