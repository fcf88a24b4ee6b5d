"""The backend that fills masks by a classical method, in threads of this process."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from anyio import CapacityLimiter, to_thread

from batchfill.emulator import emulator_model as painting
from batchfill.emulator.backend import Made, RunFailed
from batchfill.emulator.schema import find_faults, version_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from batchfill.catalog.model import Model
    from batchfill.emulator.input_sources import Sources
    from batchfill.emulator.journal import PredictionRecord
    from batchfill.emulator.outputs import OutputFiles
    from batchfill.emulator.schema import Fault


class ClassicalFill:
    """Runs predictions with as many threads as there are cores."""

    def __init__(
        self, models: Mapping[str, Model], sources: Sources, outputs: OutputFiles, *, tiny: bool
    ) -> None:
        """*models*: by name. *tiny*: no input is read and nothing is painted."""
        self._models, self._sources, self._outputs = models, sources, outputs
        self._versions = {version_of(model): model for model in models.values()}
        self._tiny = tiny
        self._threads: CapacityLimiter | None = None

    async def start(self) -> None:
        """Make the limit of threads, which belongs to the event loop."""
        self._threads = CapacityLimiter(os.cpu_count() or 1)

    async def stop(self) -> None:
        """Do nothing: threads end by themselves."""

    def find_model(self, name: str) -> Model | None:
        """Return a model of the catalog, or one that was given."""
        return self._models.get(name)

    def find_version(self, version: str) -> Model | None:
        """Return the model that a version names."""
        return self._versions.get(version.rpartition(":")[2]) or self._models.get(version)

    async def accept(self) -> None:
        """Return at once."""

    def find_faults(self, model: Model, inputs: Mapping[str, Any]) -> list[Fault]:
        """Return what the service would refuse."""
        return find_faults(model, inputs)

    async def run(self, record: PredictionRecord, begin: Callable[[], None]) -> Made:
        """Make the outputs of a prediction. Raises RunFailed."""
        begin()
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

    def report(self) -> None:
        """Return None: there are no servers."""

    def closing_line(self) -> str:
        """Return nothing: the bill tells it."""
        return ""

    async def _read_input(self, record: PredictionRecord, name: str | None) -> bytes:
        if self._tiny:
            return b""
        if name is None:
            raise RunFailed(f"the local emulator cannot run {record.model}: it takes no mask")
        return await self._sources.read(record, name)

    def _make_outputs(self, id_: str, run: painting.Run) -> list[str]:
        return self._outputs.write(id_, painting.make_outputs(run), run.suffix)


def _count_outputs(model: Model, record: PredictionRecord) -> int:
    asked = model.outputs_asked(record.input)
    return max(asked - int(record.fate_option or 0), 1) if record.fate == "fewer" else asked
