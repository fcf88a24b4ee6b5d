"""Addresses that a user names: the provider's base, the receiver of notifications."""

from __future__ import annotations

import re
from functools import lru_cache
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from batchfill.domain.objects import is_object_address, parse_object_address
from batchfill.errors import quote_shortened

if TYPE_CHECKING:
    from urllib.parse import SplitResult

REPLICATE = "https://api.replicate.com/v1"
NTFY = "ntfy+"
"""Before an address: it speaks the ntfy protocol, whatever it is called."""
DESKTOP = "desktop"
"""In the place of an address: the screen of this machine."""
NO_RECEIVER = (
    "must be an address such as https://example.com/hook or https://ntfy.sh/TOPIC, one that Apprise knows "
    "such as slack://…, or desktop"
)
_SERVICE = re.compile(r"[a-z][a-z0-9+.-]*://.*", re.IGNORECASE)
LOCAL = "local"
"""What stands for the base when the local emulator serves the run: its port changes, it does not."""
HIDDEN = "…"
"""What is shown and kept in the place of a value of a base's query."""

_ID = r"(?!v\d)[^/]+"
_CALLS = re.compile(
    rf"/(?:models|deployments)/[^/]+/[^/]+(?:/versions/[^/]+)?/predictions$"
    rf"|/predictions(?:/{_ID}(?:/(?:cancel|stream))?)?$"
)
"""Paths of creates and gets at the end of a pasted address. What begins as the version of an API is no id."""

_PRIVATE = tuple(
    map(
        ip_network,
        ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "fc00::/7", "fe80::/10"),
    )
)
_SINGLE_LABEL = re.compile(r"(?!\d+$|0x[0-9a-f]*$)[a-z0-9_-]+", re.IGNORECASE)
"""A name without a dot. A lone number is an address of four bytes, which may be anywhere."""


def read_base(text: str, *, plain_http: bool = False) -> str:
    """Return the base of *text*, with its query; *text* may be a pasted create or get URL. Raises ValueError.

    *plain_http*: the user allows http in a private network.
    """
    shown = show_base(text)
    try:
        url = urlsplit(text.strip())
        host, port = url.hostname, url.port
    except ValueError:
        host, port = None, None
    if not host or url.scheme not in ("http", "https"):
        raise ValueError(f"base URL must be an address such as {REPLICATE}, not {quote_shortened(shown)}")
    if url.username is not None or url.password is not None:
        raise ValueError("base URL must not hold a user or password: the token comes from BATCHFILL_TOKEN")
    if not _is_plain(text.strip()):
        raise ValueError("base URL holds a space, or a character that no address has: copy it again")
    if HIDDEN in url.query:
        raise ValueError(
            f"base URL {quote_shortened(shown)} has {HIDDEN} where a value belongs: give the value itself"
        )
    refuse_plain_http(text.strip(), allowed=plain_http)
    path = _CALLS.sub("", url.path.rstrip("/")).rstrip("/")
    netloc = f"[{host}]" if ":" in host else host
    query = f"?{url.query}" if url.query else ""
    return f"{url.scheme}://{netloc}{f':{port}' if port else ''}{path}{query}"


def show_base(text: str) -> str:
    """Return the address *text* as it may be shown and kept: `…?key=…`, and no user or password."""
    address, _, query = text.strip().partition("#")[0].partition("?")
    address = re.sub(r"(?<=//)[^/]*@", "", address)
    pairs = [pair.partition("=") for pair in query.split("&") if pair]
    shown = "&".join(f"{name}={HIDDEN}" if equals else HIDDEN for name, equals, _ in pairs)
    return f"{address}?{shown}" if shown else address


def refuse_plain_http(base: str, *, allowed: bool) -> None:
    """Raise ValueError where the token would go to *base* in the clear; *allowed*: --plain-http was given."""
    url = urlsplit(base)
    host = url.hostname or ""
    if url.scheme != "http" or is_loopback(host):
        return
    near = is_in_private_network(host)
    if not (near and allowed):
        way = ", or allow it in your own network with --plain-http" if near else ""
        kind = (
            "" if near or not allowed else " (--plain-http is for private addresses and names without a dot)"
        )
        shown = _shown(base)
        raise ValueError(f"base URL {shown} would send the token in the clear: use https{way}{kind}")


def why_out_of_reach(address: str, base: str, *, plain_http: bool) -> str | None:
    """Return why the service at *base* cannot, or should not, fetch from *address*; None: it can.

    The words name no query: it may be a signature. *plain_http*: the user allows http in a private network.
    """
    url, asking = urlsplit(address), urlsplit(base).hostname or ""
    host = url.hostname or ""
    here, near = is_loopback(host), is_in_private_network(host)
    if here and not is_loopback(asking):
        return f"the service does not reach {host}, which is this machine"
    if near and not (is_loopback(asking) or is_in_private_network(asking)):
        return f"the service does not reach {host}, which is in your own network"
    if url.scheme == "https" or here:
        return None
    way = ", or allow it in your own network with --plain-http" if near else ""
    return None if near and plain_http else f"its address is plain http: use https{way}"


@lru_cache(maxsize=256)
def is_in_private_network(host: str) -> bool:
    """Whether *host* is an address of a private network, or a name that only such a network knows."""
    try:
        address = ip_address(host)
    except ValueError:
        return _SINGLE_LABEL.fullmatch(host) is not None
    return any(address in network for network in _PRIVATE)


def is_webhook(address: str) -> bool:
    """Whether notifications are posted to *address* by batchfill itself."""
    return address.removeprefix(NTFY).lower().startswith(("https://", "http://"))


def read_notify(text: str) -> str:
    """Return *text*, where notifications go: a web address, a service's that Apprise knows, `desktop`.

    A web address begins with https:// or ntfy+https://; plain http is for this machine only, since a person
    who sees a webhook's or a topic's address on its way can use it. Raises ValueError.
    """
    text = text.strip()
    if text == DESKTOP:
        return text
    if not _SERVICE.fullmatch(text) or not _is_plain(text):
        raise ValueError(NO_RECEIVER)
    if is_webhook(text):
        _check_webhook(urlsplit(text.removeprefix(NTFY)))
    return text


def _check_webhook(url: SplitResult) -> None:
    if not url.hostname:
        raise ValueError(NO_RECEIVER)
    if url.username is not None or url.password is not None:
        raise ValueError("must not hold a user or password")
    if url.scheme == "http" and not is_loopback(url.hostname):
        raise ValueError("would send the address in the clear: use https")
    if url.port == 0:  # others that cannot be are refused by asking
        raise ValueError("names port 0, where no receiver listens")


NO_MIRROR = "none"


def read_mirror(text: str) -> str:
    """Return *text*, the address of a mirror, with the slash at its end, or `none`. Raises ValueError."""
    text = text.strip()
    if text.lower() == NO_MIRROR:
        return NO_MIRROR
    if not is_object_address(text):
        raise ValueError("must be a prefix in a bucket such as s3://BUCKET/NIGHT/, or `none`")
    scheme, _, rest = text.partition("://")
    prefix = f"{scheme.lower()}://{rest.rstrip('/')}/"
    if not parse_object_address(f"{prefix}x").key.removesuffix("x"):
        raise ValueError("must name a prefix of its own in the bucket: s3://BUCKET/NIGHT/")
    return prefix


_CLUSTER = "must be the address of a scheduler such as tls://HOST:8786"


def read_cluster(text: str) -> str:
    """Return *text*, the address of a cluster's scheduler. Raises ValueError."""
    text = text.strip().rstrip("/")
    try:
        url = urlsplit(text)
        whole = url.scheme in ("tls", "tcp") and bool(url.hostname) and bool(url.port)
    except ValueError:
        whole = False
    if not whole or url.path or url.query or url.username is not None or not _is_plain(text):
        raise ValueError(_CLUSTER)
    return text


def refuse_plain_cluster(address: str, *, allowed: bool) -> None:
    """Raise ValueError where tasks would go to *address* in the clear; *allowed*: --plain-cluster was given.

    Who is on the way could have this machine, and each worker, run anything.
    """
    url = urlsplit(address)
    if url.scheme == "tcp" and not is_loopback(url.hostname or "") and not allowed:
        raise ValueError(
            f"{address} is neither encrypted nor proves who it is: use tls://, or allow it in a network that "
            "only you use with --plain-cluster"
        )


def read_endpoint(text: str) -> str:
    """Return *text*, the address of a server of buckets. Raises ValueError."""
    text = text.strip()
    try:
        url = urlsplit(text)
        fits = (
            url.scheme in ("http", "https") and bool(url.hostname) and url.port != 0 and "@" not in url.netloc
        )
    except ValueError:
        fits = False
    if not (fits and _is_plain(text) and not url.query):
        raise ValueError(f"must be an address such as https://storage.example.com:9000, not {_shown(text)}")
    return text


def _shown(address: str) -> str:
    return quote_shortened(show_base(address))


def _is_plain(text: str) -> bool:
    return all(c.isprintable() and not c.isspace() for c in text)


@lru_cache(maxsize=256)
def is_loopback(host: str) -> bool:
    """Whether *host* is this machine by name or address."""
    # Asked for each output, and an address takes a while to read.
    if host.lower() == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
