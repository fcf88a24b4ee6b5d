"""What the provider knows of one prediction, and what of it a person is billed for."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import Any

TERMINAL = frozenset({"succeeded", "failed", "canceled", "aborted"})
FREE = frozenset({"failed", "aborted"})
"""Ends that cost nothing."""

_LETTERS = "0123456789abcdefghjkmnpqrstvwxyz"


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One prediction. Times are seconds since the epoch by the provider's own clock."""

    id: str
    model: str
    input: dict[str, Any]
    """As given, without the data URLs."""
    contents: dict[str, str]
    """SHA-256 of what the data URLs held, by input name."""
    digest: str
    """SHA-256 of the input without its seed, of what files hold rather than where they lie."""
    created_at: float
    deployment: str | None = None
    cancel_at: float | None = None
    fate: str | None = None
    """The fault that will become of it."""
    fate_option: str | int | None = None
    """The text of its error, or how many outputs are left out."""
    seed: int | None = None
    """As given; kept when the input is gone."""
    status: str = "starting"
    started_at: float | None = None
    completed_at: float | None = None
    logs: str = ""
    error: str | None = None
    outputs: list[str] = field(default_factory=list)
    """File names, in order."""
    made: int = 0
    """How many outputs there were, gone or not."""
    removed: bool = False
    """Inputs, outputs and logs are gone."""

    @property
    def ended(self) -> bool:
        """Whether the status is terminal."""
        return self.status in TERMINAL


@dataclass(frozen=True, slots=True)
class Charge:
    """One line of the bill: a prediction that was made, however it ended."""

    prediction_id: str
    model: str
    digest: str
    """Equal for predictions that ask for the same, whatever their seeds."""
    seed: int | None
    status: str
    outputs: int
    """How many were made, whether or not they are still there."""
    started: bool = False

    @property
    def paid(self) -> bool:
        """Whether it costs: not when it failed, was aborted, or was canceled before it started.

        What still runs counts, for it will cost unless it fails.
        """
        return self.status not in FREE and (self.status != "canceled" or self.started)


def charge(record: Record) -> Charge:
    """Return the line of the bill for *record*."""
    return Charge(
        prediction_id=record.id,
        model=record.model,
        digest=record.digest,
        seed=record.seed,
        status=record.status,
        outputs=record.made,
        started=record.started_at is not None,
    )


def new_id() -> str:
    """Return an id as the service makes them: 26 characters that nobody can guess."""
    return "".join(secrets.choice(_LETTERS) for _ in range(26))
