"""Addresses that a user names: the provider's base, the receiver of notifications."""

from __future__ import annotations

import re
from ipaddress import ip_address
from urllib.parse import urlsplit

REPLICATE = "https://api.replicate.com/v1"
NTFY = "ntfy+"
"""Before an address: it speaks the ntfy protocol, whatever it is called."""
LOCAL = "local"
"""What stands for the base when the local emulator serves the run: its port changes, it does not."""


def read_base(text: str) -> str:
    """Return the base of *text*, which may be a pasted create URL. Raises ValueError."""
    url = urlsplit(text.strip())
    host = url.hostname
    if url.scheme not in ("http", "https") or not host:
        raise ValueError(f"base URL must be an address such as {REPLICATE}, not {text!r}")
    if url.username or url.password:
        raise ValueError("base URL must not hold a user or password: the token comes from BATCHFILL_TOKEN")
    if url.scheme == "http" and not is_loopback(host):
        raise ValueError(f"base URL {text!r} would send the token in the clear: use https")
    path = re.sub(r"/(models|deployments|predictions|files|account)(/.*)?$", "", url.path.rstrip("/"))
    netloc = f"[{host}]" if ":" in host else host
    return f"{url.scheme}://{netloc}{f':{url.port}' if url.port else ''}{path}"


def read_notify(text: str) -> str:
    """Return *text*, the address that notifications are posted to. Raises ValueError.

    It begins with https:// or ntfy+https://; plain http is for this machine only, since a person who sees a
    webhook's or a topic's address on its way can use it.
    """
    text = text.strip()
    url = urlsplit(text.removeprefix(NTFY))
    if url.scheme not in ("http", "https") or not url.hostname or not _is_plain(text):
        raise ValueError("must be an address such as https://example.com/hook or https://ntfy.sh/TOPIC")
    if url.username is not None or url.password is not None:
        raise ValueError("must not hold a user or password")
    if url.scheme == "http" and not is_loopback(url.hostname):
        raise ValueError("would send the address in the clear: use https")
    if url.port == 0:  # others that cannot be are refused by asking
        raise ValueError("names port 0, where no receiver listens")
    return text


def _is_plain(text: str) -> bool:
    return all(c.isprintable() and not c.isspace() for c in text)


def is_loopback(host: str) -> bool:
    """Whether *host* is this machine by name or address."""
    if host.lower() == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
