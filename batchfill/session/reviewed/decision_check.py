"""Which decisions a batch cannot take, told to the person who makes them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from batchfill.catalog.builtin import find_model
from batchfill.catalog.redo_inputs import type_redo_inputs
from batchfill.ledger.location import LEDGER
from batchfill.ledger.reader import open_reader
from batchfill.storage import inbox

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from batchfill.catalog.model import Model
    from batchfill.domain.review import ReviewDecision

MODEL_SCHEMA = "model_schema"
"""The fact that says that the batch's model is described by a file of the user's, and by which."""


def refused_decisions(folder: Path, rulings: Sequence[ReviewDecision]) -> dict[int, str]:
    """Return why some of *rulings* cannot be taken, by their place. Raises LedgerError without a ledger."""
    with open_reader(folder / LEDGER) as reader:
        refused = inbox.refusals(rulings, reader)
        model = _described_model(reader.metadata())
    if model is None:
        return refused
    unfit = {
        place: why for place, ruling in enumerate(rulings) if (why := _why_unfit(model, ruling)) is not None
    }
    return unfit | refused


def _described_model(facts: Mapping[str, str]) -> Model | None:
    """Return the model of a batch as it is shipped; None where only the next run has its description."""
    if MODEL_SCHEMA in facts:
        return None
    return find_model(facts.get("model", "").partition(":")[0])


def _why_unfit(model: Model, ruling: ReviewDecision) -> str | None:
    try:
        type_redo_inputs(model, ruling.inputs or {})
    except ValueError as error:
        return str(error)
    return None
