"""Authentication for the review page: a login link that is good once, then a session cookie."""

from __future__ import annotations

import os
import re
import secrets
from contextlib import contextmanager
from html import escape
from ipaddress import ip_address
from typing import TYPE_CHECKING

from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from aiohttp.typedefs import Handler, Middleware


HEADERS = {
    # Nothing from another host, nothing inline, no page frames this one.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}

HOST, KEY = "127.0.0.1", "key"
READING = frozenset({"GET", "HEAD"})
ELSEWHERE = "this page answers only at the address that batchfill printed, or at a port forwarded to it\n"
STRANGER = (
    "This address does not let anybody in (any more).\n\n"
    "Each address that `batchfill review` gives is good for one browser, once. "
    "End it with Ctrl-C and start it again for a new one.\n"
)

_AUTHORITY = re.compile(
    r"(?P<name>\[[0-9a-f:.]+\]|[^\[\]:@/]+)(?::(?P<port>[0-9]{1,5}))?", re.ASCII | re.IGNORECASE
)
"""What a browser calls a server in a request: its name, and its port where that is not 80."""


class Auth:
    """The keys of one listening address; a key is exchanged for a cookie and then good for nothing."""

    def __init__(self, address: str, port: int) -> None:
        """*address*: the IP address that it listens at, in *port*."""
        self._address, self._port = ip_address(address), port
        self._secret = secrets.token_urlsafe(32)
        self._keys: set[str] = set()

    @property
    def is_of_this_machine(self) -> bool:
        """Whether nothing but this machine reaches it, or who may forward a port to it."""
        return self._address.is_loopback

    @property
    def flags(self) -> str:
        """The flags of `batchfill review` with which it listens there again."""
        host = "" if self.is_of_this_machine else f" --host {self._address}"
        return f"--port {self._port}{host}"

    def login_url(self) -> str:
        """Return a new address of the page."""
        key = secrets.token_urlsafe(24)
        self._keys.add(key)
        name = f"[{self._address}]" if self._address.version == 6 else str(self._address)
        return f"http://{name}:{self._port}/?{KEY}={key}"

    def make_middleware(self) -> Middleware:
        """Return what answers strangers before anything else does."""

        @web.middleware
        async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
            if self._is_from_elsewhere(request):
                raise web.HTTPForbidden(text=ELSEWHERE)
            if self._is_known(request):
                return await handler(request)
            if request.path != "/" or not self._redeem(request.query.get(KEY, "")):
                raise web.HTTPForbidden(text=STRANGER)
            response = await handler(request)
            cookie = _cookie_name(request)
            response.set_cookie(cookie, self._secret, httponly=True, samesite="Strict", path="/")
            return response

        return guard

    def _is_from_elsewhere(self, request: web.Request) -> bool:
        """Whether it comes by another name of this machine (rebinding), or from a page that is not ours."""
        host = request.headers.get("Host", "")
        origin = request.headers.get("Origin")
        if not self._is_called(host) or (origin is not None and origin != f"http://{host}"):
            return True
        if request.method not in READING:
            return origin is None
        # To follow a link to the page is all that another page may do.
        return request.path != "/" and request.headers.get("Sec-Fetch-Site", "none") not in (
            "none",
            "same-origin",
        )

    def _is_called(self, host: str) -> bool:
        """Whether *host* names the address. Its port is any: one that is forwarded has another number."""
        found = _AUTHORITY.fullmatch(host)
        name = found["name"].lower() if found else ""
        if name == "localhost":
            return self.is_of_this_machine
        try:
            address = ip_address(name.strip("[]"))
        except ValueError:
            # The name of a host may lead here from anywhere: its owner decides.
            return False
        return address == self._address or (self.is_of_this_machine and address.is_loopback)

    def _is_known(self, request: web.Request) -> bool:
        given = request.cookies.get(_cookie_name(request), "")
        return secrets.compare_digest(given.encode(), self._secret.encode())

    def _redeem(self, given: str) -> bool:
        found = [key for key in self._keys if secrets.compare_digest(given.encode(), key.encode())]
        self._keys.difference_update(found)
        return bool(found)


def _cookie_name(request: web.Request) -> str:
    """Return the name of the cookie. Browsers keep the cookies of all ports of a host together."""
    found = _AUTHORITY.fullmatch(request.headers.get("Host", ""))
    return f"batchfill-{(found and found['port']) or 80}"


async def add_security_headers(request: web.Request, response: web.StreamResponse) -> None:
    """Add what keeps a browser from doing more with an answer than the page needs."""
    response.headers.update(HEADERS)
    response.headers.setdefault("Cache-Control", "no-store")


NAME = "review.html"


@contextmanager
def login_page(folder: Path, address: str) -> Iterator[str]:
    """Give the address of a file, readable by its owner only, that leads to *address*; it is gone afterwards.

    A browser is started with the address in its arguments, which every user of the machine can read.
    """
    file = folder / NAME
    file.unlink(missing_ok=True)
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(
                '<!doctype html><meta charset="utf-8"><meta name="referrer" content="no-referrer">'
                f'<title>batchfill</title><meta http-equiv="refresh" content="0; url={escape(address)}">'
            )
        yield file.resolve().as_uri()
    finally:
        file.unlink(missing_ok=True)
