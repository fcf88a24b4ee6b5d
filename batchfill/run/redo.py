"""A row that is made anew: what it asks for this time."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from batchfill.catalog import Model
    from batchfill.values import Due, Input


def as_asked_now(due: Due, model: Model) -> Due:
    """Return *due* with the inputs that it is submitted with: of a redo the seed and the prompt replaced.

    Without a seed, where the redo names none: one of our own is chosen for it.
    """
    if due.redo is None:
        return due
    inputs: dict[str, Input] = {name: value for name, value in due.inputs.items() if name != model.seed_field}
    if model.seed_field is not None and due.redo.seed is not None:
        inputs[model.seed_field] = due.redo.seed
    if model.prompt_field is not None and due.redo.prompt is not None:
        inputs[model.prompt_field] = due.redo.prompt
    return replace(due, inputs=inputs)
