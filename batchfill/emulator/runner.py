"""Runs predictions: fetches their inputs, paints in threads, puts the outputs in place."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from anyio import CapacityLimiter, to_thread

from batchfill.emulator import emulator_model as painting
from batchfill.emulator.emulator_predictions import Made

if TYPE_CHECKING:
    from collections.abc import Mapping

    from batchfill.catalog.model import Model
    from batchfill.emulator.input_sources import Sources
    from batchfill.emulator.journal import PredictionRecord
    from batchfill.emulator.outputs import OutputFiles


class Runner:
    """What a prediction's run does, with as many threads as there are cores."""

    def __init__(
        self, models: Mapping[str, Model], sources: Sources, outputs: OutputFiles, *, tiny: bool
    ) -> None:
        """*tiny*: no input is read and nothing is painted."""
        self._models, self._sources, self._outputs = models, sources, outputs
        self._tiny = tiny
        self._threads: CapacityLimiter | None = None

    async def run(self, record: PredictionRecord) -> Made:
        """Make the outputs of a prediction. Raises RunFailed."""
        if self._threads is None:
            self._threads = CapacityLimiter(os.cpu_count() or 1)
        model = self._models[record.model]
        ready = painting.Run(
            model=model,
            inputs=record.input,
            picture=await self._read_input(record, model.image_field),
            mask=await self._read_input(record, model.mask_field),
            seed=painting.choose_seed(record.input, record.id),
            outputs=_count_outputs(model, record),
        )
        if self._tiny:
            return Made([f"out-{n}.webp" for n in range(ready.outputs)], painting.logs_of(ready))
        names = await to_thread.run_sync(self._make_outputs, record.id, ready, limiter=self._threads)
        return Made(names, painting.logs_of(ready))

    async def _read_input(self, record: PredictionRecord, name: str | None) -> bytes:
        if self._tiny:
            return b""
        if name is None:
            raise painting.RunFailed(f"the local emulator cannot run {record.model}: it takes no mask")
        return await self._sources.read(record, name)

    def _make_outputs(self, id_: str, run: painting.Run) -> list[str]:
        return self._outputs.write(id_, painting.make_outputs(run), run.suffix)


def _count_outputs(model: Model, record: PredictionRecord) -> int:
    asked = model.outputs_asked(record.input)
    return max(asked - int(record.fate_option or 0), 1) if record.fate == "fewer" else asked
