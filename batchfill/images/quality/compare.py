"""One output next to what was sent for it, and next to another output."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageFilter
from PIL.Image import Resampling

from batchfill.domain.drawn_masks import NOTHING
from batchfill.images.codec.colors import without_alpha
from batchfill.images.codec.open import apply_orientation, is_turned, open_image
from batchfill.images.prepare.enlarge import fit_canvas, place_canvas
from batchfill.images.prepare.hole import Hole
from batchfill.images.prepare.mask import read_mask
from batchfill.images.quality.drift import CELL, has_drift
from batchfill.images.quality.seam import has_seam
from batchfill.images.quality.thresholds import LIMITS

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from batchfill.catalog.pixel_options import Pixels
    from batchfill.catalog.sizes import Size
    from batchfill.domain.drawn_masks import DrawnMask
    from batchfill.domain.enlargement import Enlarged
    from batchfill.domain.rows import Box

    Floats = NDArray[np.float32]
    Truths = NDArray[np.bool_]

_KEPT_DETAIL = 1.5
"""Times the size of an output to which a picture is averaged before it is scaled finely."""

_STRIP = 256
"""Rows of an output that are scaled together."""

COARSE = 8
"""Pixels to the side of what is compared inside the mask: re-encoding leaves such means nearly alone."""


@dataclass(frozen=True, slots=True)
class Sent:
    """What the service was sent, at the size of an output."""

    picture: Image.Image
    hole: Image.Image
    cut: Size
    """The size of what was cut out of the upright picture, or of its canvas."""
    own_hole: Image.Image
    """What is filled of the picture itself: of what is new around it there is nothing to compare."""

    @classmethod
    def of(cls, picture: Path, mask: Path | DrawnMask, pixels: Pixels, area: Box | None, size: Size) -> Sent:
        """Read *area* of the picture and of the mask and bring it to *size*. Raises BadPicture."""
        with open_image(picture, picture.name) as image:
            own = image.size[::-1] if is_turned(image) else image.size
            least = least_size(own, area, size)
            image.draft(None, least[::-1] if is_turned(image) else least)
            upright = apply_orientation(image)
        hole = Hole.of(read_mask(mask, pixels, mask.name, own))
        placed = place_canvas(pixels, own, has_mask=mask != NOTHING)
        return cls.of_decoded(upright, picture.name, own, placed, hole, area, size)

    @classmethod
    def of_decoded(
        cls,
        picture: Image.Image,
        name: str,
        own: Size,
        placed: Enlarged | None,
        hole: Hole,
        area: Box | None,
        size: Size,
    ) -> Sent:
        """Bring *area* of a picture, upright and *own* at any scale, and of its mask to *size*.

        *placed*: its canvas, where it has one; *hole* is the canvas's then. *name* is the picture's, for
        BadPicture.
        """
        plain = without_alpha(picture, name)
        if placed is not None:
            return cls._on_canvas(plain.convert("RGB"), own, placed, hole, size)
        box = area or (0, 0, *own)
        across, down = plain.width / own[0], plain.height / own[1]
        part = box[0] * across, box[1] * down, box[2] * across, box[3] * down
        at_size = _scale_part(plain, part, size).convert("RGB")
        scaled = hole.scale(box, size)
        return cls(at_size, scaled, (box[2] - box[0], box[3] - box[1]), scaled)

    @classmethod
    def _on_canvas(cls, plain: Image.Image, own: Size, placed: Enlarged, hole: Hole, size: Size) -> Sent:
        """Return what was sent of a picture that is enlarged; *hole* is the canvas's."""
        sent, whole = fit_canvas(plain, own, placed, size), (0, 0, *placed.size)
        own_hole = hole.within(placed.box)
        return cls(sent, hole.scale(whole, size), placed.size, own_hole.scale(whole, size))


def _scale_part(picture: Image.Image, part: tuple[float, float, float, float], size: Size) -> Image.Image:
    """Return *part* of *picture* at *size*, strip by strip: the steps between take little room."""
    left, top, right, bottom = part
    whole, down = Image.new(picture.mode, size), (bottom - top) / size[1]
    for first in range(0, size[1], _STRIP):
        last = min(first + _STRIP, size[1])
        strip = left, top + first * down, right, min(top + last * down, bottom)
        scaled = picture.resize((size[0], last - first), Resampling.LANCZOS, strip, reducing_gap=_KEPT_DETAIL)
        whole.paste(scaled, (0, first))
    return whole


def least_size(own: Size, area: Box | None, size: Size) -> Size:
    """Return how large an upright picture of the *own* size has to be for *area* of it to be *size*."""
    left, top, right, bottom = area or (0, 0, *own)
    return -(-own[0] * size[0] // (right - left)), -(-own[1] * size[1] // (bottom - top))


@dataclass(frozen=True, slots=True)
class Signature:
    """What is kept of an output to find others like it."""

    size: Size
    coarse: Floats
    """The means of its cells."""


class OutputComparison:
    """One output next to what was sent for it, where that is known."""

    def __init__(self, output: Image.Image, sent: Sent | None) -> None:
        """*sent* is of the output's size."""
        self._output, self._sent = output, sent
        self._cells = _cell_means(output, CELL)
        self.trace = Signature(output.size, _cell_means(output, COARSE))

    @cached_property
    def drifts(self) -> bool:
        """Whether outside the mask it is not what was sent, re-encoded."""
        if self._sent is None:
            return False
        outside = _cells_outside(self._sent.hole, CELL, LIMITS.margin)
        return has_drift(self._cells, _cell_means(self._sent.picture, CELL), outside)

    @property
    def is_blank(self) -> bool:
        """Whether it is one colour, or nearly so, which what was sent is not."""
        return _is_flat(self._cells) and not (
            self._sent is not None and _is_flat(_cell_means(self._sent.picture, CELL)) and not self.drifts
        )

    @property
    def is_unchanged(self) -> bool:
        """Whether inside the mask it is what was sent, re-encoded."""
        if self._sent is None:
            return False
        before = _cell_means(self._sent.picture, COARSE)
        return _difference_inside(self.trace.coarse, before, self._sent.own_hole) < LIMITS.unchanged

    @property
    def has_seam(self) -> bool:
        """Whether there is a step along the mask's border that is content of neither side."""
        if self._sent is None:
            return False
        after, before = np.asarray(self._output), np.asarray(self._sent.picture)
        return has_seam(after, before, np.asarray(self._sent.hole) > 127)

    def is_like(self, other: Signature) -> bool:
        """Whether inside the mask, or all over where that is not known, it is *other*, re-encoded."""
        if self.trace.size != other.size:
            return False
        if self._sent is None:
            return float(_change_between(self.trace.coarse, other.coarse).max()) < LIMITS.patch
        return _difference_inside(self.trace.coarse, other.coarse, self._sent.hole) < LIMITS.duplicate


def _cell_means(image: Image.Image, side: int) -> Floats:
    return np.asarray(image.reduce(side), np.float32)


def _is_flat(cells: Floats) -> bool:
    return bool(cells.std(axis=(0, 1)).max() < LIMITS.flat)


def _cells_inside(hole: Image.Image) -> Truths:
    """Return the coarse cells that are filled; the fullest, where strokes are thinner than any cell."""
    covered = np.asarray(hole.reduce(COARSE))
    return np.asarray(covered > min(127, int(covered.max()) // 2), np.bool_)


def _cells_outside(hole: Image.Image, side: int, margin: int) -> Truths:
    """Return the cells that neither the mask nor *margin* cells around it touch."""
    near = hole.reduce(side).filter(ImageFilter.MaxFilter(2 * margin + 1))
    return np.asarray(np.asarray(near) == 0, np.bool_)


def _change_between(one: Floats, other: Floats) -> Floats:
    return np.asarray(np.abs(one - other).mean(axis=-1), np.float32)


def _difference_inside(one: Floats, other: Floats, hole: Image.Image) -> float:
    """Return how much two pictures differ inside *hole*, over what re-encoding explains there.

    What it does to these two is seen outside, and it does more where there is more detail.
    """
    change, inside, outside = (
        _change_between(one, other),
        _cells_inside(hole),
        _cells_outside(hole, COARSE, 1),
    )
    if not inside.any():
        return math.inf  # nothing is left of the mask at this size, and nothing can be told
    noise = min(float(change[outside].mean()), LIMITS.noise) if outside.any() else LIMITS.unseen
    detail = float(_slopes_of(other)[inside].mean())
    return float(change[inside].mean()) / (LIMITS.faint + noise + LIMITS.busy * detail)


def _slopes_of(cells: Floats) -> Floats:
    """Return by how much each cell differs from those before it, to the left and above, on average."""
    down, across = (np.abs(np.diff(cells, axis=axis, prepend=cells.take([0], axis))) for axis in (0, 1))
    return np.asarray((down + across).mean(axis=-1) / 2, np.float32)
