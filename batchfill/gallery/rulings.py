"""What the page says of pictures becomes rulings, or a sentence that says why it cannot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from batchfill.values import Decision, Ruling

if TYPE_CHECKING:
    from collections.abc import Callable

MOST = 1000
"""Rulings that are taken at once."""

_KINDS: dict[str, type] = {"prediction_id": str, "decision": str, "chosen": int, "prompt": str, "seed": int}


def read_rulings(said: Any, now: Callable[[], float]) -> list[Ruling]:
    """Return the rulings that *said*, a JSON value, holds; they are made now. Raises ValueError."""
    if not isinstance(said, list) or not 0 < len(said) <= MOST:
        raise ValueError(f"decisions are a list of 1 to {MOST}")
    return [_ruling(fields, now()) for fields in said]


def _ruling(fields: Any, at: float) -> Ruling:
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
    return Ruling(decision=None if word is None else Decision(word), at=at, **given)
