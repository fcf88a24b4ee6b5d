"""What a person decides about pictures, and how a row is made again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, NamedTuple


class Decision(StrEnum):
    """What a reviewer thinks of the pictures of a prediction."""

    APPROVED = "approved"
    REJECTED = "rejected"
    REDO = "redo"
    """To be made again, as the ruling says."""


MOST_SEED = 2**31 - 1
LONGEST_PROMPT = 100_000
"""Characters; as in a manifest."""
MOST_INPUTS = 100
"""Inputs that a redo may change."""
MOST_NAME = 100
"""Characters of an input's name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewDecision:
    """A decision about the pictures of one prediction.

    The prediction stands for its row: it belongs to one row and one attempt always, whatever becomes of
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
    inputs: Mapping[str, str] | None = None
    """For a redo: other inputs to change, as cells of a manifest; an empty one: the model's default.

    They take the place of those that an earlier redo has changed. None: those stay.
    """
    at: float
    """When it was decided, in seconds since the epoch."""

    def __post_init__(self) -> None:
        if not (self.chosen is None or self.chosen >= 1):
            raise ValueError(f"outputs are counted from 1: {self.chosen} cannot be chosen")
        asked = (self.prompt, self.seed, self.inputs)
        if self.decision is not Decision.REDO and asked != (None, None, None):
            raise ValueError("only a redo has a prompt, a seed and inputs")
        if not (self.seed is None or 1 <= self.seed <= MOST_SEED):
            raise ValueError(f"a seed is a number from 1 to {MOST_SEED}, not {self.seed}")
        if self.prompt is not None and not (self.prompt.strip() and len(self.prompt) <= LONGEST_PROMPT):
            raise ValueError(f"a prompt must not be empty, nor longer than {LONGEST_PROMPT:,} characters")
        if self.prompt is not None and _is_broken(self.prompt):
            raise ValueError("a prompt must not hold a NUL character or half of one: a broken emoji?")
        _refuse_unfit_inputs({} if self.inputs is None else self.inputs)

    def as_record(self) -> dict[str, Any]:
        """Return it as JSON takes it. Earlier versions read a decision that names no inputs."""
        fields = asdict(self)
        return fields if self.inputs is not None else {n: v for n, v in fields.items() if n != "inputs"}


def _refuse_unfit_inputs(inputs: Mapping[str, str]) -> None:
    if not isinstance(inputs, Mapping):
        raise ValueError(f"inputs are names and texts, not {inputs!r:.50}")  # noqa: TRY004
    if len(inputs) > MOST_INPUTS:
        raise ValueError(f"a redo changes at most {MOST_INPUTS} inputs, not {len(inputs):,}")
    for name, text in inputs.items():
        if not name or len(name) > MOST_NAME or not name.isprintable():
            raise ValueError(f"an input has no name like {name!r:.50}")
        if not isinstance(text, str):
            raise ValueError(f"{name}: an input is given as text, not {text!r:.50}")  # noqa: TRY004
        if len(text) > LONGEST_PROMPT or _is_broken(text):
            raise ValueError(
                f"{name} must not be longer than {LONGEST_PROMPT:,} characters, nor hold a NUL character or "
                "half of one: a broken emoji?"
            )


def _is_broken(text: str) -> bool:
    return any(c == "\0" or "\ud800" <= c <= "\udfff" for c in text)


class Agreed(NamedTuple):
    """What a person has agreed to on the review page: a run of so many rows, for so much."""

    rows: int
    price: int | None
    """In millionths; None: it is unknown."""

    @property
    def flag(self) -> str:
        """It as the value of --agreed."""
        return f"{self.rows}:{'unknown' if self.price is None else self.price}"


AGREED_TO_NOTHING = "nothing"
"""The value of --agreed where a person only looks at a plan."""


@dataclass(frozen=True, slots=True)
class Redo:
    """How a row that was done before is made again."""

    prompt: str | None
    """In place of the row's own; None: the row's own."""
    seed: int | None
    """None: one of our own choosing, also where the row fixes one."""
    inputs: Mapping[str, str | int | float | bool | None]
    """In place of the row's own, typed; None: the model's default."""


@dataclass(frozen=True, slots=True)
class DecisionFile:
    """Decisions that were left for the process that may write the ledger."""

    name: str
    """Of its file; no other letter ever has it."""
    decisions: tuple[ReviewDecision, ...]
