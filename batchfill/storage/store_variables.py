"""Variables that name storages of objects, looked at before their library breaks off at one."""

from __future__ import annotations

import os
from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

VARIABLES = {
    "s3": "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    "gs": "GOOGLE_APPLICATION_CREDENTIALS",
    "az": "AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY",
}
"""What names credentials in the environment, by the beginning of an address."""
ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")
OWN_ENDPOINT = ENDPOINTS[0]
"""The one that goes before the others."""
_SENT = {
    "s3": (
        *ENDPOINTS,
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "AWS_REGION",
        "AWS_DEFAULT_REGION",
    ),
    "gs": (),
    "az": ("AZURE_STORAGE_ACCOUNT_NAME", "AZURE_STORAGE_ACCOUNT_KEY"),
}
"""Variables whose values go into addresses and headers."""

_OPENING = Lock()
_REPLACED: dict[str, str] = {}
"""What the environment itself says, by the server that a batch has named in its place."""


def find_unfit_variable(scheme: str, environment: Mapping[str, str]) -> str | None:
    """Return which variable makes no address and no header, without its value; None: all do."""
    for name in _SENT[scheme]:
        value = environment.get(name, "")
        if not (value.isascii() and value.isprintable()) or " " in value:
            return f"{name} holds a space, a line break or a letter that it cannot have: set it again"
        if value and name in ENDPOINTS and not _is_endpoint(value):
            return f"{name} is no address: set it to one such as https://storage.example.com:9000"
    return None


def _is_endpoint(value: str) -> bool:
    try:
        parts = urlsplit(value)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def use_endpoint(address: str | None) -> None:
    """Have this process, and the workers that it starts, find `s3://` addresses at the server at *address*.

    None: where the environment itself says. The library of buckets reads its server from the environment,
    wherever a bucket is opened; so the batch that starts last says it for the whole process.
    """
    said = os.environ.pop(OWN_ENDPOINT, "")
    said = _REPLACED.pop(said, said)
    _REPLACED.clear()
    if address is not None:
        _REPLACED[address] = said
    if address or said:
        os.environ[OWN_ENDPOINT] = address or said


@contextmanager
def found_at(server: str | None) -> Iterator[None]:
    """Have a bucket that is opened inside be one of *server*; None: where the environment says.

    What the library is told goes behind the first of its variables, and so that one says it.
    """
    with _OPENING:
        said = os.environ.get(OWN_ENDPOINT)
        if server is not None:
            os.environ[OWN_ENDPOINT] = server
        try:
            yield
        finally:
            if said is not None:
                os.environ[OWN_ENDPOINT] = said
            elif server is not None:
                del os.environ[OWN_ENDPOINT]
