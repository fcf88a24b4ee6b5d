"""Money: counted in millionths of the currency, so that sums are exact."""

from __future__ import annotations

MILLION = 1_000_000
CURRENCY = "USD"
"""What Replicate bills in, and what a price is in where nothing else is said."""


def currency_units(millionths: int | None) -> float | None:
    """Return *millionths* in units of the currency; None where the amount is not known."""
    return None if millionths is None else millionths / MILLION
