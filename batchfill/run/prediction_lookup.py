"""One prediction of ours at the service: asked for by its id, checked, its outputs as the row takes them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from batchfill.domain.echoes import has_other_seed, may_be
from batchfill.errors import TransientError
from batchfill.providers.output_forms import is_address, resolve_address

if TYPE_CHECKING:
    from batchfill.catalog.model import Model
    from batchfill.domain.predictions import Prediction
    from batchfill.domain.rows import Attempt
    from batchfill.ledger.ledger import Ledger
    from batchfill.providers.provider_protocol import Provider


class PredictionLookup:
    """Asks for predictions one by one, and never takes another row's for the one that was asked for."""

    def __init__(self, model: Model, ledger: Ledger, service: Provider) -> None:
        self._model = model
        self._ledger = ledger
        self._service = service

    async def fetch_prediction(self, attempt: Attempt) -> Prediction:
        """Return the attempt's prediction as the service has it now.

        Raises TransientError when the answer is about another prediction, and what Provider.get raises.
        """
        assert attempt.prediction_id is not None
        prediction = await self._service.get(attempt.prediction_id, outputs=attempt.outputs_asked)
        if prediction.id != attempt.prediction_id and await self._is_anothers(attempt, prediction):
            raise TransientError(
                f"asked for {attempt.prediction_id}, the service answered with {prediction.id}"
            )
        return prediction

    async def confirm_prediction(self, attempt: Attempt) -> Prediction:
        """Return the prediction that an answer seems to name, now that the service was asked for it.

        Raises as `fetch_prediction`, TransientError also where it is surely another row's.
        """
        assert attempt.prediction_id is not None
        prediction = await self.fetch_prediction(attempt)
        if has_other_seed(prediction, attempt.seed):
            raise TransientError(f"prediction {attempt.prediction_id} has another seed than was sent")
        return replace(prediction, id=attempt.prediction_id)

    def name_outputs(self, attempt: Attempt, prediction: Prediction) -> Prediction:
        """Return *prediction* of *attempt* with its outputs as the row takes them.

        Their addresses are full, and there are no more than were asked for.
        """
        if not prediction.outputs:
            return prediction
        most = self._model.most_outputs(attempt.sent, attempt.outputs_asked)
        at = self._service.prediction_address(prediction.id)
        named = [self._rewritten(address, at) for address in prediction.outputs]
        if most is not None and len(named) > most:
            # Of too many, those that cannot be fetched are left out first.
            named = sorted(named, key=lambda address: not is_address(address))[:most]
        # Nearly always they are named as they are taken.
        return prediction if tuple(named) == prediction.outputs else replace(prediction, outputs=tuple(named))

    def _rewritten(self, address: str, at: str) -> str:
        # An address that holds the token is known by its marked form, which is written down.
        return self._service.redaction.rewritten(address, lambda one: resolve_address(one, at))

    async def _is_anothers(self, attempt: Attempt, prediction: Prediction) -> bool:
        # A gateway may have ids of its own, so that another id alone says nothing.
        asked_for_otherwise = prediction.input is not None and not may_be(attempt, prediction)
        return asked_for_otherwise or bool(await self._ledger.claimed_ids([prediction.id]))
