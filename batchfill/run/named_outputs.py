"""Outputs that a prediction names, as a row takes them: full addresses, and no more than were asked for."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from batchfill.providers.output_forms import is_address, resolve_address

if TYPE_CHECKING:
    from batchfill.domain.predictions import Prediction
    from batchfill.domain.rows import Attempt
    from batchfill.run.context import RunContext


def name_outputs(context: RunContext, attempt: Attempt, prediction: Prediction) -> Prediction:
    """Return *prediction* of *attempt* with its outputs as the row takes them."""
    most = context.model.most_outputs(attempt.sent, attempt.outputs_asked)
    at = context.service.prediction_address(prediction.id)
    named = [_rewritten(context, address, at) for address in prediction.outputs]
    if most is not None and len(named) > most:
        # Of too many, those that cannot be fetched are left out first.
        named = sorted(named, key=lambda address: not is_address(address))[:most]
    return replace(prediction, outputs=tuple(named))


def _rewritten(context: RunContext, address: str, at: str) -> str:
    # An address that holds the token is known by its marked form, which is written down.
    return context.service.redaction.rewritten(address, lambda one: resolve_address(one, at))
