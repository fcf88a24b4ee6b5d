"""What the service offers and how fast it is, chosen before it starts."""

from __future__ import annotations

from dataclasses import dataclass

REPORT = "/bench"
"""Where the service tells what it was asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """One manner of service."""

    run_time: float = 1.0
    """Seconds that a prediction takes from its making to its end."""
    spread: float = 0.0
    """Share of that by which a single run may be shorter or longer, evenly drawn."""
    seed: int = 1
    """Of what is drawn: the same seed, the same run times."""
    has_list: bool = True
    """Whether predictions can be listed, as at Replicate; gateways answer 404."""
    creates_per_minute: float | None = None
    """Beyond them a create is answered with 429; None: any number."""
    output_bytes: int = 0
    """About how large an output is; 0: as small as a picture can be."""
    port: int = 0
    """Of the API; 0: any that is free."""
