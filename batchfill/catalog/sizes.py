"""The size at which a model works, and the size worth sending to it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from batchfill.domain.rows import Input

Size = tuple[int, int]
"""Width and height in pixels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SizeRule:
    """The rule `megapixels`: an input names the area, or a word that keeps the picture's own size."""

    field: str
    """The input that chooses."""
    default: str
    """Its value when a row gives none."""
    megapixel: int
    """Pixels that the model counts as one megapixel."""
    fits: Mapping[str, int]
    """Words that scale only down, until both sides are at most so many pixels."""
    multiple: int
    """Both sides are cut down to a multiple of this, and never below it."""

    def generated_size(self, width: int, height: int, inputs: Mapping[str, Input]) -> Size:
        """Return the size that the model works at, for a picture of *width* x *height*."""
        choice = str(inputs.get(self.field, self.default))
        if choice in self.fits:
            limit = self.fits[choice]
            scale = min(limit / width, limit / height, 1)
        else:
            area = int(float(choice) * self.megapixel)
            scale = (area / (width * height)) ** 0.5
        return self._cut_side(width, scale), self._cut_side(height, scale)

    def fitting_size(self, width: int, height: int, inputs: Mapping[str, Input]) -> Size:
        """Return the size to send: a fixed point of the rule, or the picture's own size.

        Both sides only ever get smaller. A picture sent at a fixed point is not scaled again by the model,
        so that its mask lies where it was drawn. Of the fixed points near, the one that keeps the
        proportions best is taken: the model's own choice cuts each side, and can bend them by more.
        """
        across, down = self.generated_size(width, height, inputs)
        near = [(across + x, down + y) for x in (0, self.multiple) for y in (0, self.multiple)]
        fixed = [self._fixed_point(size, inputs) for size in near]
        smaller = [size for size in fixed if size[0] <= width and size[1] <= height]
        return min(smaller, key=lambda size: _distortion_of(size, (width, height)), default=(width, height))

    def _fixed_point(self, size: Size, inputs: Mapping[str, Input]) -> Size:
        # Cutting to a multiple loses area, which the rule makes up for when it is applied again: one side
        # may grow by a multiple. It ends because the area is bounded and sides then only grow.
        while (again := self.generated_size(*size, inputs)) != size:
            size = again
        return size

    def _cut_side(self, side: int, scale: float) -> int:
        # The same float operations in the same order as the model's: 2205 * (1440 / 2205) is a little less
        # than 1440 and ends as 1408, where exact arithmetic would say 1440.
        return max(int(side * scale) // self.multiple, 1) * self.multiple


def _distortion_of(size: Size, picture: Size) -> float:
    """Return how far *size* is from the proportions of *picture*; 0 when it keeps them."""
    return abs(math.log(size[0] * picture[1] / (size[1] * picture[0])))
