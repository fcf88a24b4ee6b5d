"""The secrets of the account: the token, and what else a provider may ask for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any


SHORTEST_SECRET = 8
"""Characters of a secret that is looked for in texts: they hold a shorter one by chance."""

TOKEN_WORDS = frozenset({"api_key", "api_token", "key", "password", "replicate_api_token", "secret", "token"})
"""What people call a token where settings are."""


class Token:
    """A secret that shows nowhere: not in repr, str, format, pickle, an attribute or an error."""

    __slots__ = ("reveal",)

    reveal: Callable[[], str]
    """Returns the secret itself; only for the Authorization header of a request to the user's base."""

    def __init__(self, secret: str) -> None:
        # In a function, since whatever shows an object shows its attributes.
        self.reveal = lambda: secret

    def __repr__(self) -> str:
        return "Token(…)"

    def __copy__(self) -> Token:
        return self

    def __deepcopy__(self, memo: object) -> Token:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        raise TypeError("a token does not travel")


@dataclass(frozen=True, slots=True)
class ExtraSecrets:
    """What goes to the base, and only there, in addition to the token."""

    headers: Mapping[str, Token] = field(default_factory=dict)
    """Further headers by name."""
    query: Token | None = None
    """The query of the base, as the user gave it: its values are secrets."""
    variables: frozenset[str] = frozenset()
    """Variables of the environment that hold values of headers."""


NO_EXTRAS = ExtraSecrets()
"""Of a provider that asks for the token alone."""
