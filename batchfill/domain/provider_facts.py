"""What holds of every provider of a dialect before it was asked anything: frozen, and in this one place."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class TokenOrigin(Enum):
    """An origin that may see the token."""

    BASE = "the base's own"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderFacts:
    """The facts of one dialect. What a provider of it lacks is learned from its answers: `ProviderOffers`."""

    calls: frozenset[str]
    """Its free calls besides get, of which a provider may lack any: names of `ProviderOffers`."""
    token_origins: frozenset[TokenOrigin]
    """Where the token may go: requests, and outputs that are not given without it."""
    creates_per_minute: float
    """That an account may make, unless its answers say otherwise."""
    reads_per_create: float
    """Times as many other calls as creates that are allowed in the same time."""
    outputs_kept: float
    """Seconds for which it keeps what it made."""
    uploads_kept: float
    """Seconds for which it keeps a file that was given to it, where its answer names no time."""
    keys_kept: float
    """Seconds for which an `Idempotency-Key` is known, at least, where a provider honours them."""
    small_inline: int
    """Characters of a data URL that a request may hold where files are taken."""
    largest_inline: int
    """Characters of a data URL that a request may hold where no files are taken."""
    charged_ends: frozenset[str]
    """Statuses of predictions that ended without outputs and may cost something; the others are free."""


REPLICATE_API = ProviderFacts(
    calls=frozenset({"account", "cancel", "files", "list", "model"}),
    token_origins=frozenset({TokenOrigin.BASE}),
    creates_per_minute=600.0,
    reads_per_create=5.0,
    outputs_kept=3600.0,
    uploads_kept=24 * 3600.0,
    keys_kept=24 * 3600.0,
    small_inline=256_000,  # by its reference
    largest_inline=1_000_000,  # by its guides
    charged_ends=frozenset({"canceled"}),
)
"""Replicate, and the gateways that relay it."""
