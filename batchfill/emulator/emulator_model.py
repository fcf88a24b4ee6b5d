"""The model behind the provider: a classical fill that obeys the inputs as the real one does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from zlib import crc32

from batchfill.emulator.backend import RunFailed
from batchfill.errors import BadPicture

if TYPE_CHECKING:
    from collections.abc import Mapping

    from batchfill.catalog.model import Model

TINY = bytes.fromhex(
    "52494646240000005745425056503820180000003001009d012a010001000cc0ce25a400037000fed42c0000"
)
"""A whole WebP of one pixel, for load tests in which the provider must cost nothing."""


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a model, everything in hand."""

    model: Model
    inputs: Mapping[str, Any]
    picture: bytes
    mask: bytes
    seed: int
    outputs: int

    @property
    def suffix(self) -> str:
        """Of the outputs' names, without the dot."""
        return str(wanted_input(self.model, self.inputs, "output_format", "webp"))


def wanted_input(model: Model, inputs: Mapping[str, Any], name: str, otherwise: Any) -> Any:
    """Return an input, else the model's default, else *otherwise*."""
    value = inputs.get(name)
    if value is None and name in model.fields:
        value = model.fields[name].default
    return otherwise if value is None else value


def choose_seed(inputs: Mapping[str, Any], id_: str) -> int:
    """Return the seed of a run: the given one, or 16 bits drawn from the id where there is none or 0.

    Raises RunFailed for one below zero.
    """
    given = int(inputs.get("seed") or 0)
    if given < 0:
        raise RunFailed(f"seed must be 0 or more, not {given}")
    return given or crc32(id_.encode()) % 2**16


def make_outputs(run: Run) -> tuple[bytes, ...]:
    """Return the encoded outputs of *run*; works for a second or so. Raises RunFailed."""
    # Only here, where pictures are made: numpy takes a fifth of a second to import.
    from batchfill.images.codec.decode import stored_size
    from batchfill.images.inpaint import PaintTask, inpaint_files

    try:
        stored = stored_size(run.picture, "image")
        task = PaintTask(
            picture=run.picture,
            mask=run.mask,
            size=run.model.generated_size(*stored, run.inputs) or stored,
            seeds=tuple(run.seed + n for n in range(run.outputs)),
            format=run.suffix,
            quality=int(wanted_input(run.model, run.inputs, "output_quality", 90)),
        )
        return inpaint_files(task)
    except BadPicture as error:
        raise RunFailed(f"cannot identify image file: {error}") from error


def logs_of(run: Run) -> str:
    """Return what the model would have logged."""
    return (
        f"Using seed: {run.seed}\nPrompt: {run.inputs.get('prompt', '')}\nGenerated {run.outputs} image(s)\n"
    )
