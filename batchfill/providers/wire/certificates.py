"""Which certificates are trusted: the system's, certifi's, and those that the environment names."""

from __future__ import annotations

import os
import ssl
from functools import cache
from pathlib import Path

import httpx

from batchfill.errors import UsageError

INSTEAD = ("SSL_CERT_FILE", "SSL_CERT_DIR")
"""Variables whose certificates are trusted instead of certifi's."""
NAMED_BY = (*INSTEAD, "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
"""Variables that name certificates: a file, or a folder of them."""


def trusted_certificates() -> ssl.SSLContext:
    """Return whom to trust. Raises UsageError for a variable that names what cannot be read."""
    return _load_certificates(
        tuple((name, value) for name in NAMED_BY if (value := os.environ.get(name, "").strip()))
    )


def refuse_unreadable() -> None:
    """Raise UsageError for a variable that names what cannot be read. Without any, no certificate is read."""
    if any(os.environ.get(name, "").strip() for name in NAMED_BY):
        trusted_certificates()


@cache
def _load_certificates(named: tuple[tuple[str, str], ...]) -> ssl.SSLContext:
    replaces = any(variable in INSTEAD for variable, _ in named)
    context = ssl.create_default_context() if replaces else httpx.create_ssl_context(trust_env=False)
    # A company's own authority is often known to the system only.
    context.load_default_certs()
    for variable, value in named:
        for path in value.split(os.pathsep) if variable == "SSL_CERT_DIR" else [value]:
            _load_from(context, variable, Path(path))
    context.set_alpn_protocols(["http/1.1"])
    return context


def _load_from(context: ssl.SSLContext, variable: str, path: Path) -> None:
    try:
        if path.is_dir():
            context.load_verify_locations(capath=path)
        else:
            context.load_verify_locations(cafile=path)
    except ssl.SSLError as error:
        raise UsageError(
            f"{variable} names {path}, which holds no certificates: name a file of them in PEM, or unset it"
        ) from error
    except OSError as error:
        raise UsageError(
            f"{variable} names {path}, which cannot be read ({error.strerror}): mend the name, or unset it"
        ) from error
