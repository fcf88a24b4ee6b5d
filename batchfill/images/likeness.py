"""Measures of how an output differs from what was sent, inside the mask, outside it and along its border."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL.Image import Resampling

from batchfill.images.colours import without_alpha
from batchfill.images.hole import read_hole, scaled
from batchfill.images.opening import opened, upright
from batchfill.images.spread import grown

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL import Image

    from batchfill.catalog import Size
    from batchfill.images.flags import FlagTask

    Floats = NDArray[np.float32]
    Truths = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Where a difference begins to be one. Levels are of 0 … 255, means over all channels and pixels."""

    blank: float = 2.0
    """Deviation below which a picture is one colour: a sky of a single blue has more."""
    unchanged: float = 0.75
    """Difference inside over the contrast there: re-encoding alone comes to 0.5, the faintest fill to 1."""
    colour: float = 2.5
    """Levels by which patches of 16 pixels square may shift outside: re-encoding shifts them by 1."""
    moved: float = 0.55
    """Difference outside over the contrast there: pictures moved by two pixels come to 0.8 and more."""
    step: float = 10.0
    """Levels that a step across the border has at least."""
    sharp: float = 3.0
    """Times that it is as large as the steps beside it."""
    along: float = 0.15
    """Share of the border with such a step, beyond what the original has."""
    alike: float = 0.6
    """Difference of two outputs inside over the contrast there: the same one re-encoded comes to 0.5."""
    patch: float = 12.0
    """Levels by which a patch of 16 pixels square may differ in outputs that are alike all the same."""


LIMITS = Thresholds()
MARGIN = 6
"""Pixels around the mask that are nobody's: the model blends there."""
BEYOND = 4
"""Pixels from the border at which the steps beside it are looked for."""


@dataclass(frozen=True)
class Sent:
    """What the service was sent, at any size."""

    picture: Image.Image
    """Upright, cut to its area."""
    hole: Image.Image
    made: Size | None
    """The size at which the model works on it; None: not known."""

    @classmethod
    def of(cls, task: FlagTask) -> Sent:
        """Read what *task* names. Raises BadPicture."""
        assert task.picture is not None
        assert task.mask is not None
        with opened(task.picture, task.picture.name) as image:
            picture = upright(image)
            hole = read_hole(task.mask, task.pixels, task.mask.name, picture.size)
            area = task.area or (0, 0, *picture.size)
            picture = without_alpha(picture.crop(area), task.picture.name).convert("RGB")
        made = None
        if task.rule is not None:
            inputs = dict(task.inputs)
            made = task.rule.generated(*task.rule.fitting(*picture.size, inputs), inputs)
        return cls(picture, hole.crop(area), made)

    def at(self, size: Size) -> tuple[Image.Image, Image.Image]:
        """Return picture and hole at *size*."""
        picture = self.picture.resize(size, Resampling.LANCZOS, reducing_gap=3.0)
        return picture, scaled(self.hole, size)


class View:
    """One output beside what was sent for it."""

    def __init__(self, output: Image.Image, before: Image.Image, hole: Image.Image) -> None:
        self.size: Size = output.size
        self._output, self._before, self._hole = output, before, hole

    @classmethod
    def of(cls, output: Image.Image, sent: Sent | None) -> View:
        """Return *output* beside what was sent; where that is not known, all of it counts as filled."""
        if sent is None:
            return cls(output, output, output.convert("L").point([255] * 256))
        return cls(output, *sent.at(output.size))

    @property
    def is_blank(self) -> bool:
        """Whether it is one colour, or nearly so."""
        return bool(_pixels(self._output.reduce(2)).std(axis=(0, 1)).max() < LIMITS.blank)

    @property
    def is_unchanged(self) -> bool:
        """Whether inside it is what was sent, re-encoded."""
        return _over_contrast(self._change, self._was, self._inside) < LIMITS.unchanged

    @property
    def drifts(self) -> bool:
        """Whether outside colours have shifted, or the picture has moved."""
        if not self._outside.any():
            return False
        coarse = np.abs(_blocks(self._after - self._was, self._outside)).max(axis=-1)
        shifted = coarse.size > 0 and float(np.median(coarse)) > LIMITS.colour
        return shifted or _over_contrast(self._change, self._was, self._outside) > LIMITS.moved

    @property
    def has_seam(self) -> bool:
        """Whether there is a step along the border that is in neither side, nor in the original."""
        filled = np.asarray(self._hole) > 127
        return _stepped(self._output, filled) - _stepped(self._before, filled) > LIMITS.along

    def is_like(self, other: View) -> bool:
        """Whether it is *other*, re-encoded, inside."""
        if self.size != other.size or not self._inside.any():
            return False
        change = np.abs(self._after - other._after).mean(axis=-1)
        if np.max(_blocks(change[..., None], self._inside), initial=0.0) > LIMITS.patch:
            return False
        return _over_contrast(change, other._after, self._inside) < LIMITS.alike

    # At half the size: what re-encoding does to single pixels is no difference.

    @cached_property
    def _after(self) -> Floats:
        return _pixels(self._output.reduce(2))

    @cached_property
    def _was(self) -> Floats:
        return _pixels(self._before.reduce(2))

    @cached_property
    def _change(self) -> Floats:
        return np.asarray(np.abs(self._after - self._was).mean(axis=-1), np.float32)

    @cached_property
    def _inside(self) -> Truths:
        return np.asarray(self._hole.reduce(2)) > 127

    @cached_property
    def _outside(self) -> Truths:
        return np.asarray(np.asarray(grown(self._hole.reduce(2), MARGIN // 2)) == 0, np.bool_)


def _pixels(image: Image.Image) -> Floats:
    return np.asarray(image, np.float32)


def _mean(values: NDArray[Any]) -> float:
    return float(values.mean()) if values.size else 0.0


def _over_contrast(change: Floats, pixels: Floats, chosen: Truths) -> float:
    """Return the mean of *change* over that of the steps between neighbours in *pixels*, where *chosen*."""
    steps = np.abs(np.diff(pixels, axis=1)).mean(axis=-1)[chosen[:, 1:]]
    return _mean(change[chosen]) / (_mean(steps) + 1.0)


def _blocks(values: Floats, chosen: Truths, side: int = 8) -> Floats:
    """Return the means of the squares of *values* that are wholly *chosen* (blocks, channels)."""
    height, width = (length // side * side for length in chosen.shape)
    if not (height and width):
        return np.empty((0, values.shape[-1]), np.float32)
    parts = values[:height, :width].reshape(height // side, side, width // side, side, -1).mean(axis=(1, 3))
    whole = chosen[:height, :width].reshape(height // side, side, width // side, side).all(axis=(1, 3))
    return np.asarray(parts[whole], np.float32)


def _stepped(image: Image.Image, filled: Truths) -> float:
    """Return the share of the border of *filled* along which *image* has a sharp step."""
    pixels = _pixels(image)
    found = [_steps(pixels, filled), _steps(pixels.swapaxes(0, 1), filled.T)]
    return _mean(np.concatenate(found))


def _steps(pixels: Floats, filled: Truths) -> Truths:
    """Return for each place where a row crosses the border whether there is a sharp step."""
    rows, columns = np.nonzero(filled[:, 1:] != filled[:, :-1])
    inner = (columns >= BEYOND + 3) & (columns < filled.shape[1] - BEYOND - 4)
    rows, columns = rows[inner], columns[inner]

    def step(offset: int) -> Floats:
        # Over three pixels, since compression takes a step apart.
        across = pixels[rows, columns + offset + 2] - pixels[rows, columns + offset - 1]
        return np.asarray(np.abs(across).max(axis=-1), np.float32)

    beside = np.maximum(step(-BEYOND), step(BEYOND))
    at = step(0)
    return np.asarray((at > LIMITS.step) & (at > LIMITS.sharp * beside), np.bool_)
