"""What a person decides about pictures, and how a row is made again."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Decision(StrEnum):
    """What a reviewer thinks of the pictures of a prediction."""

    APPROVED = "approved"
    REJECTED = "rejected"
    REDO = "redo"
    """To be made again, as the ruling says."""


MOST_SEED = 2**31 - 1
LONGEST_PROMPT = 100_000
"""Characters; as in a manifest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewDecision:
    """A decision about the pictures of one prediction.

    The prediction stands for its row: it belongs to one row and one attempt forever, whatever becomes of
    the manifest meanwhile. Raises ValueError for what cannot be.
    """

    prediction_id: str
    decision: Decision | None
    """None takes back what was decided before."""
    chosen: int | None = None
    """The output that was chosen among several, from 1."""
    prompt: str | None = None
    """For a redo: what to ask for instead; None: the same."""
    seed: int | None = None
    """For a redo, from 1; None: another one, of batchfill's choosing."""
    at: float
    """When it was decided, in seconds since the epoch."""

    def __post_init__(self) -> None:
        if not (self.chosen is None or self.chosen >= 1):
            raise ValueError(f"outputs are counted from 1: {self.chosen} cannot be chosen")
        if self.decision is not Decision.REDO and not (self.prompt is None and self.seed is None):
            raise ValueError("only a redo has a prompt and a seed")
        if not (self.seed is None or 1 <= self.seed <= MOST_SEED):
            raise ValueError(f"a seed is a number from 1 to {MOST_SEED}, not {self.seed}")
        if self.prompt is not None and not (self.prompt.strip() and len(self.prompt) <= LONGEST_PROMPT):
            raise ValueError(f"a prompt must not be empty, nor longer than {LONGEST_PROMPT:,} characters")
        if self.prompt is not None and any(c == "\0" or "\ud800" <= c <= "\udfff" for c in self.prompt):
            raise ValueError("a prompt must not hold a NUL character or half of one: a broken emoji?")


@dataclass(frozen=True, slots=True)
class Redo:
    """How a row that was done before is made again."""

    prompt: str | None
    """In place of the row's own; None: the row's own."""
    seed: int | None
    """None: one of our own choosing, also where the row fixes one."""


@dataclass(frozen=True, slots=True)
class DecisionFile:
    """Decisions that were left for the process that may write the ledger."""

    name: str
    """Of its file; no other letter ever has it."""
    decisions: tuple[ReviewDecision, ...]
