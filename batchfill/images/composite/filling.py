"""An output where it is pasted into its picture: scaled, and blended along the edge of what is filled."""

from __future__ import annotations

from functools import cached_property
from math import ceil, floor
from typing import TYPE_CHECKING, NamedTuple

from PIL import Image
from PIL.Image import Resampling

if TYPE_CHECKING:
    from collections.abc import Iterator

    from batchfill.catalog.sizes import Size
    from batchfill.domain.rows import Box
    from batchfill.images.prepare.hole import Hole

_STRIP = 256
"""Rows that are filled together: an output scaled up to all of a large picture takes as much room as that."""
_BAND = 1024
"""Columns that are filled together."""
_REACH = 4
"""Pixels on each side that scaling looks at, in the larger of the two sizes: three, and one for rounding."""


class Filling:
    """What is filled of a picture, and with what."""

    def __init__(self, output: Image.Image, hole: Hole, area: Box) -> None:
        """*hole* is faded; *area*: what *output* shows of the picture, or of its canvas."""
        self.hole = hole
        self._output, self._area = output, area

    def fill(self, picture: Image.Image) -> None:
        """Paste the output into the whole *picture*."""
        for band in self._bands():
            self._paint_band(picture, (0, 0, *picture.size), band)

    def paint(self, part: Image.Image, box: Box) -> None:
        """Paste the output into *part*, which shows *box* of the picture; one part of many."""
        for band in self._all_bands:
            self._paint_band(part, box, band)

    @cached_property
    def _all_bands(self) -> list[_Band]:
        return [*self._bands()]

    def _bands(self) -> Iterator[_Band]:
        """Give the columns of what is filled, few enough at a time to take little room."""
        left, _, right, _ = self._area
        for first in range(self.hole.box[0], self.hole.box[2], _BAND):
            last = min(first + _BAND, self.hole.box[2])
            # All of its height: Pillow begins with the cheaper direction, another one for another strip.
            yield _Band(first, last, _scale_across(self._output, right - left, (first - left, last - left)))

    def _paint_band(self, part: Image.Image, box: Box, band: _Band) -> None:
        top, height = self._area[1], self._area[3] - self._area[1]
        for inner in self._cover_boxes((max(band.first, box[0]), box[1], min(band.last, box[2]), box[3])):
            wanted = inner[0] - band.first, inner[1] - top, inner[2] - band.first, inner[3] - top
            filled = _scale_down(band.columns, height, wanted)
            place = inner[0] - box[0], inner[1] - box[1], inner[2] - box[0], inner[3] - box[1]
            _paste_box(part, filled, self.hole.crop(inner), place)

    def _cover_boxes(self, box: Box) -> Iterator[Box]:
        """Give boxes that hold all of *box* that is filled, none of them high."""
        left, top, right, bottom = box
        if left >= right:
            return
        for first in range(max(top, self.hole.box[1]), min(bottom, self.hole.box[3]), _STRIP):
            last = min(first + _STRIP, bottom, self.hole.box[3])
            found = self.hole.crop((left, first, right, last)).getbbox()
            if found is not None:
                yield left + found[0], first + found[1], left + found[2], first + found[3]


class _Band(NamedTuple):
    """Columns of the picture, from one to before another."""

    first: int
    last: int
    columns: Image.Image
    """The output where they are, as wide as they are and as high as it is."""


def _scale_across(output: Image.Image, width: int, columns: Size) -> Image.Image:
    """Return the *columns*, from one to before another, of *output* once it is *width* wide: only they are
    made."""
    first, last = columns
    if output.width == width:
        return output.crop((first, 0, last, output.height))
    source = first * output.width / width, 0, last * output.width / width, output.height
    return output.resize((last - first, output.height), Resampling.LANCZOS, source)


def _scale_down(columns: Image.Image, height: int, box: Box) -> Image.Image:
    """Return *box* of *columns* once they are *height* high: it alone is made."""
    left, first, right, last = box
    if columns.height == height:
        return columns.crop(box)
    share = columns.height / height
    reach = ceil(_REACH * max(share, 1))
    low, high = floor(first * share) - reach, ceil(last * share) + reach
    low, high = max(low, 0), min(high, columns.height)
    part = columns.crop((left, low, right, high))
    source = 0, first * share - low, part.width, last * share - low
    return part.resize((part.width, last - first), Resampling.LANCZOS, source)


def _paste_box(picture: Image.Image, filled: Image.Image, hole: Image.Image, box: Box) -> None:
    """Paste *filled* into *box* of *picture* where *hole*, of the same size, is not black."""
    if picture.mode == "I;16":
        _paste_deep(picture, filled.convert("L"), hole, box)
        return
    if picture.mode in ("LA", "RGBA"):
        # What is filled is to be seen, and a colour that was hidden is no part of a blend.
        over = filled.convert("RGBA")
        over.putalpha(hole)
        blended = Image.alpha_composite(picture.crop(box).convert("RGBA"), over)
        picture.paste(blended.convert(picture.mode), box, hole.point([0] + [255] * 255))
        return
    picture.paste(filled.convert(picture.mode), box, hole)


def _paste_deep(picture: Image.Image, filled: Image.Image, hole: Image.Image, box: Box) -> None:
    """The same for greys of 16 bits, which Pillow does not blend."""
    import numpy as np  # for the few pictures that need it

    old, new, share = (np.asarray(each, np.int32) for each in (picture.crop(box), filled, hole))
    blended = (old * (255 - share) + new * 257 * share + 127) // 255
    picture.paste(Image.fromarray(blended.astype(np.uint16)), box)
