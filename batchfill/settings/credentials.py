"""The token of the account and the values of further headers, found in the environment."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from batchfill.domain.token import SHORTEST_SECRET, Token
from batchfill.errors import UsageError
from batchfill.settings.addresses import REPLICATE, is_loopback

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any


TOKEN, REPLICATE_TOKEN = "BATCHFILL_TOKEN", "REPLICATE_API_TOKEN"
SECRETS = frozenset({TOKEN, REPLICATE_TOKEN})
"""Variables of the environment that no other program is to see."""
OURS = frozenset(
    {"authorization", "accept-encoding", "connection", "content-encoding", "content-length", "content-type"}
    | {"expect", "host", "idempotency-key", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"}
)
"""Headers that requests have anyway, and that would be others with another value."""


def without_secrets(environ: Mapping[str, str], *, also: Iterable[str] = ()) -> dict[str, str]:
    """Return *environ* without the variables that hold a secret, under whatever name.

    *also*: names of variables that hold one too.
    """
    names = SECRETS.union(also)
    secrets = [text for name in names if len(text := environ.get(name, "").strip()) >= SHORTEST_SECRET]
    return {
        name: value
        for name, value in environ.items()
        if name not in names and not any(secret in value for secret in secrets)
    }


class Environment(Mapping[str, str]):
    """The variables of an environment without its secrets, which only `secret` gives.

    It shows none of its values, and a pickled one arrives without the secrets.
    """

    __slots__ = ("_plain", "_secrets")

    def __init__(self, environ: Mapping[str, str], *, also: Iterable[str] = ()) -> None:
        """*also*: names of variables that hold a secret, in addition to those of the token."""
        self._plain = without_secrets(environ, also=also)
        names = SECRETS.union(also) & environ.keys()
        self._secrets = {name: Token(environ[name].strip()) for name in names}

    def secret(self, name: str) -> Token | None:
        """Return the secret that the variable *name* holds, None when it is missing or blank."""
        found = self._secrets.get(name)
        return found if found is not None and found.reveal() else None

    def __getitem__(self, name: str) -> str:
        return self._plain[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._plain)

    def __len__(self) -> int:
        return len(self._plain)

    def __repr__(self) -> str:
        return f"Environment({len(self)} variables)"

    def __deepcopy__(self, memo: object) -> Environment:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return Environment, (self._plain,)


def find_token(environ: Environment, base: str, *, base_named: bool) -> Token | None:
    """Return the token meant for *base*.

    REPLICATE_API_TOKEN belongs to Replicate: it goes elsewhere only to loopback, or to a base that the
    user named by flag or environment (*base_named*), never to one that was only remembered.
    """
    token = environ.secret(TOKEN)
    if token is None and (base_named or base == REPLICATE or is_loopback(urlsplit(base).hostname or "")):
        token = environ.secret(REPLICATE_TOKEN)
    if token is not None and not _is_usable(token):
        raise UsageError("the token holds spaces or characters that no token has: copy it again")
    return token


def find_headers(environ: Environment, wanted: Mapping[str, str]) -> dict[str, Token]:
    """Return the further headers of --header by name; *wanted*: each one's variable. Raises UsageError."""
    return {name: _find_header(environ, name, variable) for name, variable in wanted.items()}


def _find_header(environ: Environment, name: str, variable: str) -> Token:
    flag = f"--header {name}={variable}"
    if not re.fullmatch(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", name):
        raise UsageError(f"{flag}: {name!r} cannot be a header's name")
    if name.lower() in OURS:
        raise UsageError(f"{flag}: batchfill sets this header itself; the token comes from {TOKEN}")
    value = environ.secret(variable)
    if value is None:
        raise UsageError(
            f"{flag}: the environment variable {variable} is missing or empty: set it to the header's value"
        )
    if any(not " " <= c <= "~" for c in value.reveal()):
        raise UsageError(
            f"{flag}: the value of {variable} holds characters that no header has: copy it again"
        )
    return value


def _is_usable(token: Token) -> bool:
    return not any(not c.isprintable() or c.isspace() or ord(c) > 126 for c in token.reveal())
