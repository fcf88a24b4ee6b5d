"""All that a row's outputs become: finished files and flags, of each file decoded once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from batchfill.errors import BadPicture
from batchfill.images.composite.composite import compose, fade_hole, read_original, read_output
from batchfill.images.quality.flags import judge_outputs

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from PIL.Image import Image

    from batchfill.catalog.sizes import Size
    from batchfill.images.composite.composite import DecodedOriginal, FinishTask
    from batchfill.images.composite.finished_file import Finished
    from batchfill.images.quality.compare import Sent
    from batchfill.images.quality.flags import FlagTask


@dataclass(frozen=True, slots=True)
class RowTask:
    """The outputs of a row. Travels to a process; may run twice."""

    outputs: tuple[FinishTask, ...]
    """One at least; they differ in their `raw`, `target` and `note` only."""
    flags: FlagTask | None
    """How the same outputs are judged; None: they are not."""


class FinishedRow(NamedTuple):
    """What has come of the outputs of a row, in their order."""

    files: tuple[Finished, ...]
    flags: tuple[tuple[str, ...], ...]
    """None of any output where they are not judged."""
    unjudged: str | None = None
    """Why they could not be judged."""


def finish_row(task: RowTask) -> FinishedRow:
    """Write the finished pictures of *task* and judge its outputs; see `make_composite`, `flag_outputs`.

    Raises BadPicture when one cannot be finished, OSError when the disk does not take it: what was written
    until then is left. Outputs that cannot be judged are finished all the same.
    """
    original = read_original(task.outputs[0])
    outputs = [read_output(one.raw) for one in task.outputs]
    # Judged first: finishing fades the mask and uses the picture up.
    flags, unjudged = _flags_of(task.flags, original, outputs)
    original = fade_hole(original, task.outputs[0])
    each = zip(_copies(original, len(outputs)), outputs, task.outputs, strict=True)
    return FinishedRow(tuple(compose(*one) for one in each), flags, unjudged)


def _flags_of(
    task: FlagTask | None, original: DecodedOriginal, outputs: Sequence[Image]
) -> tuple[tuple[tuple[str, ...], ...], str | None]:
    """Return the flags of *outputs*, and why there are none where they cannot be told."""
    none = tuple(() for _ in outputs)
    if task is None:
        return none, None
    from batchfill.images.quality.compare import Sent, least_size  # numpy is loaded for those who need it

    canvas, name = original.canvas, original.canvas.name

    @cache
    def sent_at(size: Size) -> Sent:
        picture = canvas.picture
        if picture is None:
            assert canvas.jpeg is not None
            picture = canvas.jpeg.decode(name, least_size(original.size, task.area, size))
        return Sent.of_decoded(picture, name, original.size, original.placed, original.hole, task.area, size)

    try:
        return judge_outputs(task, outputs, sent_at), None
    except BadPicture as error:
        return none, str(error)


def _copies(original: DecodedOriginal, count: int) -> Iterator[DecodedOriginal]:
    """Give *original* so many times, its picture another one each time but the last."""
    picture = original.canvas.picture
    for _ in range(count - 1):
        canvas = replace(original.canvas, picture=None if picture is None else picture.copy())
        yield original._replace(canvas=canvas)
    yield original
