"""What looks wrong with the outputs of a prediction: words, for a person to look at them first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from batchfill.images.opening import opened
from batchfill.values import FLAGS

if TYPE_CHECKING:
    from pathlib import Path

    from batchfill.catalog import Pixels, SizeRule
    from batchfill.values import Box, Input


@dataclass(frozen=True, slots=True)
class FlagTask:
    """The outputs of one prediction, and what they were made of. Travels to a process; may run twice."""

    outputs: tuple[Path, ...]
    """As the service sent them, in order."""
    picture: Path | None
    """The original; None when it is remote, as the mask."""
    mask: Path | None
    pixels: Pixels
    area: Box | None
    """What was sent of the upright picture; None: all of it."""
    rule: SizeRule | None
    """What the model does to sizes; None: not known."""
    inputs: tuple[tuple[str, Input], ...]
    """The model's inputs, for the rule."""


def flag(task: FlagTask) -> tuple[tuple[str, ...], ...]:
    """Return the flags of each output, in the order of FLAGS.

    `blank`: one colour all over, or nearly so. `unchanged`: inside the mask it is what was sent. `drift`:
    outside the mask it is not. `seam`: a step along the mask's border that neither side explains.
    `duplicate`: inside the mask as an earlier output of the row. `size`: not the model's size. Without a
    local picture and mask only `blank` and `duplicate` can be told. Raises BadPicture.
    """
    from batchfill.images.likeness import Sent, View  # numpy is loaded by the process that works

    sent = Sent.of(task) if task.picture is not None and task.mask is not None else None
    found: list[tuple[str, ...]] = []
    earlier: list[View] = []
    for path in task.outputs:
        with opened(path, path.name) as image:
            view = View.of(image.convert("RGB"), sent)
        words = {"blank": view.is_blank, "duplicate": any(view.is_like(other) for other in earlier)}
        if sent is not None:
            words |= {"unchanged": view.is_unchanged, "drift": view.drifts, "seam": view.has_seam}
            words["size"] = sent.made is not None and sent.made != view.size
        found.append(tuple(word for word in FLAGS if words.get(word)))
        earlier.append(view)
    return tuple(found)
