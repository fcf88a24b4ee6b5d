"""Asking for one prediction, and making sure that the answer is about that one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from batchfill.errors import TryAgain
from batchfill.run import proof

if TYPE_CHECKING:
    from batchfill.run.tools import Tools
    from batchfill.values import Attempt, Prediction


async def ask(tools: Tools, attempt: Attempt) -> Prediction:
    """Return the attempt's prediction as the service has it now.

    Raises TryAgain when the answer is about another prediction, and what Service.get raises.
    """
    assert attempt.prediction_id is not None
    prediction = await tools.service.get(attempt.prediction_id)
    if prediction.id != attempt.prediction_id and await _is_anothers(tools, attempt, prediction):
        raise TryAgain(f"asked for {attempt.prediction_id}, the service answered with {prediction.id}")
    return prediction


async def _is_anothers(tools: Tools, attempt: Attempt, prediction: Prediction) -> bool:
    # A gateway may have ids of its own, so that another id alone says nothing.
    asked_for_otherwise = prediction.input is not None and not proof.may_be(attempt, prediction)
    return asked_for_otherwise or bool(await tools.ledger.claimed([prediction.id]))
