"""What is filled of a picture, kept without the black around it: most masks fill a small part."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, floor
from typing import TYPE_CHECKING

from PIL import Image

from batchfill.images.prepare.mask import scaling_method

if TYPE_CHECKING:
    from batchfill.catalog.sizes import Size
    from batchfill.domain.rows import Box

_STRIP = 128
"""Rows that are scaled together."""


@dataclass(frozen=True, slots=True)
class Hole:
    """The part of a mask that is not black."""

    greys: Image.Image
    """Of mode "L": the whiter, the more is filled."""
    box: Box
    """Where they are in the picture; all around it is black. Without any of them it is empty."""

    @classmethod
    def of(cls, mask: Image.Image) -> Hole:
        """Return what is not black of *mask*, which is as large as its picture."""
        found = mask.getbbox() or (0, 0, 0, 0)
        return cls(mask.crop(found), found)

    def crop(self, box: Box) -> Image.Image:
        """Return what the mask is in *box*, which may reach beyond the picture."""
        left, top = self.box[:2]
        return self.greys.crop((box[0] - left, box[1] - top, box[2] - left, box[3] - top))

    def within(self, box: Box) -> Hole:
        """Return what lies in *box*, as if all outside of it were black."""
        shared = _shared(self.box, box)
        return Hole(self.crop(shared), shared)

    def fade(self, reach: int, size: Size) -> Hole:
        """Return it fading to black over *reach* pixels around it, in a picture of *size*."""
        from batchfill.images.prepare.grow import fade_tiles  # numpy is loaded for those who need it

        left, top = max(self.box[0] - reach, 0), max(self.box[1] - reach, 0)
        around = left, top, min(self.box[2] + reach, size[0]), min(self.box[3] + reach, size[1])
        spread = self.crop(around)

        def crop(part: Box) -> Image.Image:
            return self.crop((part[0] + left, part[1] + top, part[2] + left, part[3] + top))

        for tile, faded in fade_tiles(crop, spread.size, reach):
            spread.paste(faded, tile)
        return Hole(spread, around)

    def scale(self, area: Box, size: Size) -> Image.Image:
        """Return what the mask is in *area*, scaled to *size*, as `scale_mask` would."""
        left, top, right, bottom = area
        width, height = right - left, bottom - top
        if size == (width, height):
            return self.crop(area)
        method = scaling_method((width, height), size)
        whole, down = Image.new("L", size), height / size[1]
        # Strip by strip: all of a large picture's area would take as much room as its mask did.
        for first in range(0, size[1], _STRIP):
            last = min(first + _STRIP, size[1])
            low, high = max(floor(first * down) - 1, 0), min(ceil(last * down) + 1, height)
            part = self.crop((left, top + low, right, top + high))
            if part.getbbox() is not None:
                source = 0, first * down - low, width, min(last * down - low, part.height)
                whole.paste(part.resize((size[0], last - first), method, source), (0, first))
        return whole


def _shared(one: Box, other: Box) -> Box:
    """Return what two boxes share; an empty one where that is nothing."""
    left, top = max(one[0], other[0]), max(one[1], other[1])
    right, bottom = min(one[2], other[2]), min(one[3], other[3])
    return (left, top, right, bottom) if left < right and top < bottom else (0, 0, 0, 0)
