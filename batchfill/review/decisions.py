"""What the page says of pictures becomes rulings, or a sentence that says why it cannot."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from batchfill.domain.review import Decision, ReviewDecision

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_DECISIONS = 1000
"""Rulings that are taken at once."""

MOST_NUMBER = 2**53 - 1
"""The last number that a browser can count to."""

_KINDS: dict[str, type] = {
    "prediction_id": str,
    "decision": str,
    "chosen": int,
    "prompt": str,
    "seed": int,
    "inputs": dict,
}


@dataclass(frozen=True, slots=True)
class Message:
    """Decisions of one page in their order, numbered one after the other from `first`."""

    page: str
    first: int
    rulings: tuple[ReviewDecision | str, ...]
    """A text says why something is no decision."""

    @property
    def last(self) -> int:
        """The number of the last one."""
        return self.first + len(self.rulings) - 1


def read_message(said: Any, now: Callable[[], float]) -> Message:
    """Return the decisions that *said*, a JSON value, holds; they are made now. Raises ValueError."""
    page, first, decisions = _parts(said)
    if type(page) is not str:
        raise ValueError("page: the name that head.json gave")
    if type(first) is not int or not 1 <= first <= MOST_NUMBER - MAX_DECISIONS:
        raise ValueError("first: the number of the first decision, counted from 1")
    if not isinstance(decisions, list) or not 0 < len(decisions) <= MAX_DECISIONS:
        raise ValueError(f"decisions: a list of 1 to {MAX_DECISIONS}")
    return Message(page, first, tuple(_ruling_or_reason(fields, now()) for fields in decisions))


def _parts(said: Any) -> tuple[Any, Any, Any]:
    if not isinstance(said, dict) or said.keys() != {"page", "first", "decisions"}:
        raise ValueError("decisions come as an object of page, first and decisions")
    return said["page"], said["first"], said["decisions"]


def _ruling_or_reason(fields: Any, at: float) -> ReviewDecision | str:
    try:
        return _read_decision(fields, at)
    except ValueError as error:
        return str(error)


def _read_decision(fields: Any, at: float) -> ReviewDecision:
    if not isinstance(fields, dict):
        raise ValueError("a decision is an object")  # noqa: TRY004  (of a message, not of an argument)
    given = {name: value for name, value in fields.items() if value is not None}
    for name, value in given.items():
        if type(value) is not _KINDS.get(name):
            raise ValueError(f"a decision has no {name} like {value!r:.50}")
    if "prediction_id" not in given:
        raise ValueError("a decision is about a prediction, and names none")
    word = given.pop("decision", None)
    if word is not None and word not in list(Decision):
        raise ValueError(f"a decision is {', '.join(Decision)}, or null, not {word!r:.50}")
    if "inputs" in given:
        given["inputs"] = {name: _cell(name, value) for name, value in given["inputs"].items()}
    return ReviewDecision(decision=None if word is None else Decision(word), at=at, **given)


def _cell(name: str, value: Any) -> str:
    """Return the JSON *value* of an input as a cell of a manifest holds it; null is an empty one."""
    if value is None:
        return ""
    if isinstance(value, (dict, list)):
        raise ValueError(f"{name:.50}: an input is a text, a number, true, false or null")  # noqa: TRY004
    return value if isinstance(value, str) else json.dumps(value)
