"""The token of the account, found in the environment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from batchfill.domain.token import SHORTEST_SECRET, Token
from batchfill.errors import UsageError
from batchfill.settings.addresses import REPLICATE, is_loopback

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any


TOKEN, REPLICATE_TOKEN = "BATCHFILL_TOKEN", "REPLICATE_API_TOKEN"
SECRETS = frozenset({TOKEN, REPLICATE_TOKEN})
"""Variables of the environment that no other program is to see."""


def without_secrets(environ: Mapping[str, str]) -> dict[str, str]:
    """Return *environ* without the variables that hold a secret, under whatever name."""
    secrets = [text for name in SECRETS if len(text := environ.get(name, "").strip()) >= SHORTEST_SECRET]
    return {
        name: value
        for name, value in environ.items()
        if name not in SECRETS and not any(secret in value for secret in secrets)
    }


class Environment(Mapping[str, str]):
    """The variables of an environment without its secrets, which only `secret` gives.

    It shows none of its values, and a pickled one arrives without the secrets.
    """

    __slots__ = ("_plain", "_secrets")

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._plain = without_secrets(environ)
        self._secrets = {name: Token(environ[name].strip()) for name in SECRETS & environ.keys()}

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


def _is_usable(token: Token) -> bool:
    return not any(not c.isprintable() or c.isspace() or ord(c) > 126 for c in token.reveal())
