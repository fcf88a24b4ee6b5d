"""The token of the account and the values of further headers, found in the environment."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from batchfill.domain.token import SHORTEST_SECRET, ExtraSecrets, Token
from batchfill.errors import UsageError, cut_short, quote_shortened
from batchfill.settings.addresses import LOCAL, REPLICATE, is_loopback
from batchfill.settings.base_choice import merge_headers
from batchfill.settings.layers import Rank
from batchfill.settings.setting import variable_of
from batchfill.settings.value_types import NO_VARIABLE, VARIABLE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from batchfill.settings.base_choice import Base, CountingSettings


TOKEN, REPLICATE_TOKEN = "BATCHFILL_TOKEN", "REPLICATE_API_TOKEN"
SECRETS = frozenset({TOKEN, REPLICATE_TOKEN, variable_of("notify"), variable_of("token_command")})
"""Variables of the environment that no other program is to see."""
_BASE = variable_of("base_url")
"""One more, where the base has a query."""
OURS = frozenset(
    {"authorization", "accept-encoding", "connection", "content-encoding", "content-length", "content-type"}
    | {"expect", "host", "idempotency-key", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"}
)
"""Headers that requests have anyway, and that would be others with another value."""


def without_secrets(environ: Mapping[str, str], *, also: Iterable[str] = ()) -> dict[str, str]:
    """Return *environ* without the variables that hold a secret, under whatever name.

    *also*: names of variables that hold one too.
    """
    names = _secret_names(environ, also)
    secrets = [text for name in names if len(text := environ.get(name, "").strip()) >= SHORTEST_SECRET]
    return {
        name: value
        for name, value in environ.items()
        if name not in names and not any(secret in value for secret in secrets)
    }


def _secret_names(environ: Mapping[str, str], also: Iterable[str]) -> frozenset[str]:
    query = {_BASE} if "?" in environ.get(_BASE, "") else set[str]()
    return SECRETS.union(also, query)


class Variables(dict[str, str]):
    """Variables with their secrets, which it does not show."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self)} variables)"


class Environment(Mapping[str, str]):
    """The variables of an environment without its secrets, which only `secret` gives.

    It shows none of its values, and a pickled one arrives without the secrets.
    """

    __slots__ = ("_plain", "_secrets", "secret_names")

    def __init__(self, environ: Mapping[str, str], *, also: Iterable[str] = ()) -> None:
        """*also*: names of variables that hold a secret, in addition to those of the token."""
        also = frozenset(also)
        self.secret_names = _secret_names(environ, also)
        """Variables that no other program is to see, those that are not there included."""
        self._plain = without_secrets(environ, also=also)
        names = self.secret_names & environ.keys()
        self._secrets = {name: Token(environ[name].strip()) for name in names}

    def secret(self, name: str) -> Token | None:
        """Return the secret that the variable *name* holds, None when it is missing or blank."""
        found = self._secrets.get(name)
        return found if found is not None and found.reveal() else None

    def reveal(self) -> Variables:
        """Return every variable, the secret ones included, for the reading of settings."""
        return Variables(self._plain, **{name: secret.reveal() for name, secret in self._secrets.items()})

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


_NONE: Mapping[Any, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class TokenCommand:
    """A command that prints the token. Neither its words nor its output are shown."""

    place: str
    """Where it was read: `config.toml:7`, `BATCHFILL_TOKEN_COMMAND`."""
    words: tuple[str, ...] = field(repr=False)


def find_access(
    base: Base, flags: Mapping[str, str], counting: CountingSettings, environ: Environment
) -> dict[str, Any]:
    """Return the settings `token`, `token_command` and `extras`: what goes to *base*, and there alone.

    *flags*: variables of further headers that were given so. The local emulator gets nothing. Raises
    UsageError for what cannot go into a header.
    """
    headers = merge_headers(counting.headers, flags)
    hidden = environ.secret_names.union(headers.values())
    if base.shown == LOCAL:
        return {"token": None, "token_command": None, "extras": ExtraSecrets(variables=hidden)}
    places = {name: place for name, place in counting.header_places.items() if name not in flags}
    commands = {rank: TokenCommand(*command) for rank, command in counting.commands.items()}
    found = find_token(environ, base.shown, base_named=base.named, commands=commands)
    command = found if isinstance(found, TokenCommand) else None
    return {
        "token": None if isinstance(found, TokenCommand) else found,
        "token_command": command,
        "extras": ExtraSecrets(find_headers(environ, headers, places), base.query, hidden),
    }


def find_token(
    environ: Environment, base: str, *, base_named: bool, commands: Mapping[Rank, TokenCommand] = _NONE
) -> Token | TokenCommand | None:
    """Return the token meant for *base*, or the command that prints it; *commands*: those of that base.

    REPLICATE_API_TOKEN belongs to Replicate: it goes elsewhere only to loopback, or to a base that the
    user named by flag or environment (*base_named*), never to one that was only remembered, or that a file
    of settings names.
    """
    named = base_named or base == REPLICATE or is_loopback(urlsplit(base).hostname or "")
    found = (
        commands.get(Rank.PROFILE)
        or environ.secret(TOKEN)
        or commands.get(Rank.ENVIRONMENT)
        or (environ.secret(REPLICATE_TOKEN) if named else None)
        or commands.get(Rank.DEFAULT)
    )
    if isinstance(found, Token) and not is_usable(found):
        raise UsageError("the token holds spaces, quotes or characters that no token has: copy it again")
    return found


def is_usable(token: Token) -> bool:
    """Whether *token* can be one: it goes into a header, and quotes round it are a file's."""
    text = token.reveal()
    if text[:1] in ("'", '"') and text.endswith(text[0]):
        return False
    return not any(not c.isprintable() or c.isspace() or ord(c) > 126 for c in text)


def find_headers(
    environ: Environment, wanted: Mapping[str, str], said: Mapping[str, str] = _NONE
) -> dict[str, Token]:
    """Return the further headers by name; *wanted*: each one's variable. Raises UsageError.

    *said*: where those were read that are no flags, by name.
    """
    return {name: _find_header(environ, name, wanted[name], said.get(name)) for name in wanted}


def _find_header(environ: Environment, name: str, variable: str, said: str | None) -> Token:
    place = f"{said}: header {cut_short(name)}" if said else f"--header {cut_short(name)}"
    if not VARIABLE.fullmatch(variable):
        raise UsageError(f"{place} {NO_VARIABLE}")  # it may be the secret itself: it is not shown
    flag = f"{place}={variable}"
    if not re.fullmatch(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", name):
        raise UsageError(f"{flag}: {quote_shortened(name)} cannot be a header's name")
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
