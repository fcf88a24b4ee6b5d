"""What the calls of the API work with."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from batchfill.emulator import responses
from batchfill.emulator.backend import NotReady
from batchfill.emulator.responses import Refused, held_response, problem_response

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiohttp import web

    from batchfill.catalog.model import Model
    from batchfill.emulator.backend import Backend
    from batchfill.emulator.emulator_predictions import Predictions
    from batchfill.emulator.files import UploadedFiles
    from batchfill.emulator.input_sources import Contents
    from batchfill.emulator.journal import PredictionRecord
    from batchfill.emulator.outputs import OutputFiles
    from batchfill.emulator.quirks import Quirks
    from batchfill.emulator.rate_limit import Rate


@dataclass(slots=True, kw_only=True)
class HandlerContext:
    """The parts of one provider, as its calls see them."""

    predictions: Predictions
    contents: Contents
    files: UploadedFiles
    outputs: OutputFiles
    backend: Backend
    quirks: Quirks
    token: str | None = field(repr=False)
    account: str
    rate: Rate | None
    now: Callable[[], float]
    new_id: Callable[[], str]
    base: str = ""
    """`http://127.0.0.1:PORT/v1` once the API is up."""

    @property
    def told_base(self) -> str:
        """The base that answers name."""
        return responses.REPLICATE if self.quirks.foreign_urls else self.base

    def model(self, name: str) -> Model:
        """Return a model by its name. Raises Refused."""
        found = self.backend.find_model(name)
        if found is None:
            raise Refused(problem_response(404))
        return found

    async def accept(self) -> None:
        """Return when a prediction may be made. Raises Refused for now, where nothing can run."""
        try:
            await self.backend.accept()
        except NotReady as reason:
            raise Refused(held_response(str(reason))) from None

    def prediction(self, request: web.Request) -> PredictionRecord:
        """Return the prediction that the request's path names, as it is now. Raises Refused."""
        self.predictions.sweep()
        record = self.predictions.get(request.match_info["id"])
        if record is None:
            raise Refused(problem_response(404))
        return record

    def show(self, record: PredictionRecord) -> dict[str, Any]:
        """Return what the service tells of a prediction."""
        return responses.prediction_json(
            record, self.quirks, self.base, outputs=self._output_value, inputs=f"{self.outputs.base}/inputs"
        )

    def _output_value(self, record: PredictionRecord) -> object:
        inline = self.quirks.inline_outputs or self.quirks.dialect.outputs in ("inline", "base64")
        values = self.outputs.inline(record) if inline else self.outputs.urls(record)
        model = self.backend.find_model(record.model)
        return values if model is None or model.lists_outputs else values[0]
