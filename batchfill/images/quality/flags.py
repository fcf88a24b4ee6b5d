"""What looks wrong with the outputs of a prediction: words, for a person to look at them first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from batchfill.domain.findings import FLAGS
from batchfill.images.codec.colors import without_alpha
from batchfill.images.codec.open import is_turned, open_image

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from PIL.Image import Image

    from batchfill.catalog.pixel_options import Pixels
    from batchfill.catalog.sizes import Size, SizeRule
    from batchfill.domain.drawn_masks import DrawnMask
    from batchfill.domain.rows import Box, Input
    from batchfill.images.quality.compare import Sent, Signature


@dataclass(frozen=True, slots=True)
class FlagTask:
    """The outputs of one prediction, and what they were made of. Travels to a process; may run twice."""

    outputs: tuple[Path, ...]
    """As the service sent them, in order."""
    picture: Path | None
    """The original; None when it is remote, as the mask."""
    mask: Path | DrawnMask | None
    pixels: Pixels
    area: Box | None
    """What was sent of the upright picture; None: all of it."""
    rule: SizeRule | None
    """What the model does to sizes; None: not known."""
    inputs: tuple[tuple[str, Input], ...]
    """The model's inputs, for the rule."""


def flag_outputs(task: FlagTask) -> tuple[tuple[str, ...], ...]:
    """Return the flags of each output, in the order of FLAGS.

    `blank`: one colour all over, or nearly so. `unchanged`: inside the mask it is what was sent. `drift`:
    outside the mask it is not. `seam`: a step along the mask's border that neither side explains.
    `duplicate`: inside the mask as an earlier output of the row. `size`: not the model's size. Without a
    local picture and mask only `blank`, `duplicate` (all over) and, with a local picture, `size` are told.
    Raises BadPicture.
    """
    return judge_outputs(task, map(_read_output, task.outputs), lambda size: _read_sent(task, size))


def judge_outputs(
    task: FlagTask, outputs: Iterable[Image], sent_at: Callable[[Size], Sent | None]
) -> tuple[tuple[str, ...], ...]:
    """Return the flags of *outputs*, those of *task*, decoded as L or RGB; see `flag_outputs`.

    *sent_at*: returns what was sent at a size; None: not known.
    """
    from batchfill.images.quality.compare import OutputComparison  # numpy is loaded by the process that works

    sent: Sent | None = None
    earlier: list[Signature] = []
    found: list[tuple[str, ...]] = []
    for output in outputs:
        if sent is None or sent.picture.size != output.size:
            sent = sent_at(output.size)
        made = _generated_size(task, sent)
        view = OutputComparison(output.convert("RGB"), sent)
        words = {
            "blank": view.is_blank,
            "unchanged": view.is_unchanged,
            "drift": view.drifts,
            "seam": view.has_seam,
            "duplicate": any(view.is_like(one) for one in earlier),
            "size": made is not None and made != output.size,
        }
        found.append(tuple(word for word in FLAGS if words[word]))
        earlier.append(view.trace)
    return tuple(found)


def _read_output(path: Path) -> Image:
    with open_image(path, path.name) as image:
        image.load()
        return without_alpha(image, path.name)


def _read_sent(task: FlagTask, size: Size) -> Sent | None:
    """Return what was sent at *size*; None: not known."""
    from batchfill.images.quality.compare import Sent

    if task.picture is None or task.mask is None:
        return None
    return Sent.of(task.picture, task.mask, task.pixels, task.area, size)


def _generated_size(task: FlagTask, sent: Sent | None) -> Size | None:
    """Return the size at which the model works; None: not known."""
    if task.rule is None or task.picture is None:
        return None
    own = _cut_size(task.picture, task.area) if sent is None else sent.cut
    inputs = dict(task.inputs)
    return task.rule.generated_size(*task.rule.fitting_size(*own, inputs), inputs)


def _cut_size(picture: Path, area: Box | None) -> Size:
    if area is not None:
        return area[2] - area[0], area[3] - area[1]
    with open_image(picture, picture.name) as image:
        if image.format == "PNG":
            image.load()  # what turns it may come last
        return image.size[::-1] if is_turned(image) else image.size
