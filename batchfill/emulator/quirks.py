"""How a provider differs from Replicate itself, for rehearsing gateways."""

from __future__ import annotations

from dataclasses import dataclass, field

from batchfill.emulator.dialects.dialect import Dialect

OFFERS = frozenset({"list", "files", "cancel", "account", "model"})
"""The calls that a gateway may not have; create and get are always there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quirks:
    """The habits of a provider; the defaults are Replicate's."""

    offers: frozenset[str] = OFFERS
    not_offered: int = 404
    """The status of calls that are not offered: 404 or 405."""
    create_status: int | None = None
    """Of every accepted create; None for Replicate's 201 and 202."""
    foreign_urls: bool = False
    """`urls` and `next` name api.replicate.com, as gateways pass them on."""
    error_objects: bool = False
    """`error` of a prediction is an object instead of a string."""
    failed_only: bool = False
    """`canceled` and `aborted` are called `failed`."""
    inline_outputs: bool = False
    """Outputs are data URLs instead of addresses."""
    dialect: Dialect = field(default_factory=Dialect)
    """The form of its answers."""

    def __post_init__(self) -> None:
        if not self.offers <= OFFERS:
            raise ValueError(f"unknown calls in offers: {', '.join(sorted(self.offers - OFFERS))}")
