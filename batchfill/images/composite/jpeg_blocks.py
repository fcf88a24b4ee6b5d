"""A JPEG with some of its blocks exchanged: every other coefficient is the original's."""

from __future__ import annotations

import io
from importlib.util import find_spec
from typing import TYPE_CHECKING

from PIL import Image

from batchfill.images.composite.jpeg_frame import (
    CannotExchange,
    has_usual_codes,
    read_frame,
    read_tables,
    rename_components,
)
from batchfill.images.composite.jpeg_samples import BlockCoder, shrink_blocks, to_components
from batchfill.images.composite.libjpeg import folder_for_libjpeg, read_coefficients
from batchfill.images.composite.turn import ExifTurn
from batchfill.images.rights.jpeg_segments import ADOBE, APP0, Segment, join_jpeg, split_jpeg

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from batchfill.domain.rows import Box
    from batchfill.images.composite.jpeg_samples import Patch
    from batchfill.images.composite.libjpeg import Coefficients
    from batchfill.images.prepare.hole import Hole

_SHOWN = 16
"""Rows of the grid that are decoded and filled together."""
_ENCODED = 4
"""Rows of the grid that are encoded together: their samples take four times the room of their pixels."""


class Exchange:
    """A JPEG in which the blocks are exchanged that a hole touches: filled, then written."""

    def __init__(self, content: bytes, orientation: int) -> None:
        """*content*: the original; *orientation*: EXIF's. Raises CannotExchange when it cannot be done."""
        if find_spec("jpeglib") is None:
            raise CannotExchange("jpeglib is not installed here")
        self._content = content
        segments = [segment._replace(scan=b"") for segment in _split(content)]
        self.about = [segment for segment in segments if segment.is_about]
        """The segments that tell of the picture."""
        self.frame = read_frame(segments)
        self._tables = read_tables(segments)
        self._coded = self._rename([segment for segment in segments if not segment.is_about])
        self._turn = ExifTurn(orientation, (self.frame.width, self.frame.height))
        self._coefficients: Coefficients | None = None
        self._untouched = False

    def read(self, folder: Path) -> None:
        """Read the original's coefficients; what needs no room meanwhile is better done afterwards.

        *folder* takes files meanwhile. Raises CannotExchange when libjpeg finds the original damaged, OSError
        when the disk is full.
        """
        with folder_for_libjpeg(folder, len(self._content)) as place:
            self._coefficients = None  # of another filling
            coded = self._rename([segment for segment in _split(self._content) if not segment.is_about])
            coefficients = read_coefficients(join_jpeg(coded), self.frame, place)
        self._coefficients, self._untouched = coefficients, True

    def fill(self, hole: Hole, paint: Callable[[Image.Image, Box], None], folder: Path) -> None:
        """Exchange the blocks that *hole*, where it is not black, touches: they show what *paint* makes.

        *paint*: is given a part of the upright picture, in mode L, RGB or CMYK, as the JPEG is, and its box;
        it changes the part. *folder* takes files meanwhile.
        All other blocks keep the original's coefficients. A decoder that blends colours across blocks shows
        other colours up to one of their samples beyond the blocks that are exchanged.
        Raises as `read`.
        """
        if not self._untouched:
            self.read(folder)
        assert self._coefficients is not None
        self._untouched = False
        with folder_for_libjpeg(folder, len(self._content)) as place:
            waiting: list[Patch] = []
            for box, touched in self._touched_parts(hole):
                part = self._turn.make_upright(self._show(self._coefficients, box, place))
                # Not sooner: colours are blended with those of the blocks next to them.
                _put(waiting, self._coefficients)
                paint(part, self._turn.upright_box(self._cut(box)))
                waiting = [*self._encode(self._turn.turn_back(part), touched, box)]
            _put(waiting, self._coefficients)

    def write(self, folder: Path) -> list[Segment]:
        """Return the segments of the filled JPEG, but for those that tell of the picture.

        *folder* takes files meanwhile. Raises CannotExchange, and OSError when the disk is full.
        """
        assert self._coefficients is not None
        with folder_for_libjpeg(folder, len(self._content)) as place:
            # Their own codes are as good as any where they are those of most cameras.
            made = self._coefficients.write(self._coded, place, optimize=not has_usual_codes(self._coded))
        return rename_components(made, self._ids)

    def shrink(self, least: int) -> Image.Image:
        """Return the filled JPEG, as it is stored, small: its longer side is *least* pixels or more."""
        assert self._coefficients is not None
        tables = [self._tables[component.table] for component in self.frame.components]
        return shrink_blocks(self._coefficients.planes, tables, self.frame, least)

    def show(self, least: int) -> Image.Image:
        """Return the same upright."""
        return self._turn.make_upright(self.shrink(least))

    @property
    def _ids(self) -> list[int]:
        return [component.id for component in self.frame.components]

    def _rename(self, coded: Sequence[Segment]) -> list[Segment]:
        # Any decoder takes components of these names for luma and chroma, and leaves them as they are.
        return rename_components(coded, range(1, len(self.frame.components) + 1))

    def _touched_parts(self, hole: Hole) -> Iterator[tuple[Box, Image.Image]]:
        """Give boxes of whole units that hold all of *hole* that is not black, in the stored picture.

        With each, what *hole* is there, as stored, cut at the picture's edges.
        """
        (across, down), stored = self.frame.unit, self._turn.stored_box(hole.box)
        for top in range(stored[1] // down * down, stored[3], _SHOWN * down):
            strip = self._cut((stored[0], top, stored[2], min(top + _SHOWN * down, stored[3])))
            found = self._hole_in(hole, strip).getbbox()
            if found is not None:
                left, right = (strip[0] + found[n] for n in (0, 2))
                box = left // across * across, top, -(-right // across) * across, -(-strip[3] // down) * down
                yield box, self._hole_in(hole, self._cut(box))

    def _hole_in(self, hole: Hole, box: Box) -> Image.Image:
        return self._turn.turn_back(hole.crop(self._turn.upright_box(box)))

    def _cut(self, box: Box) -> Box:
        """Return what of *box* lies in the stored picture."""
        return box[0], box[1], min(box[2], self.frame.width), min(box[3], self.frame.height)

    def _show(self, coefficients: Coefficients, box: Box, place: Path) -> Image.Image:
        """Return *box* of the stored picture, to the bit as the whole JPEG shows it."""
        across, down = self.frame.unit
        # Colours are blended with those of the units around it.
        around = max(box[0] - across, 0), max(box[1] - down, 0), box[2] + across, box[3] + down
        made = coefficients.crop(self._cut(around)).write(self._coded, place, optimize=False)
        colours = [segment for segment in self.about if segment.marker in (APP0, ADOBE)]
        content = join_jpeg([*colours, *rename_components(made, self._ids)])
        left, top, right, bottom = self._cut(box)
        with Image.open(io.BytesIO(content), formats=("JPEG",)) as image:
            return image.crop((left - around[0], top - around[1], right - around[0], bottom - around[1]))

    def _encode(self, part: Image.Image, touched: Image.Image, box: Box) -> Iterator[Patch]:
        """Give the blocks of *box* that are *touched*, as *part* shows them; both are as stored."""
        step = _ENCODED * self.frame.unit[1]
        for top in range(0, part.height, step):
            strip = 0, top, part.width, min(top + step, part.height)
            samples = to_components(part.crop(strip), self.frame)
            place = box[0], box[1] + top, box[2], min(box[1] + top + step, box[3])
            for n, component in enumerate(self.frame.components):
                coder = BlockCoder(self.frame, component, place, touched.crop(strip), samples[n])
                yield coder.encode(n, self._tables[component.table])


def _split(content: bytes) -> list[Segment]:
    """Return the segments of *content*; their scans are views of it."""
    try:
        return split_jpeg(memoryview(content))
    except ValueError:
        raise CannotExchange("it is no plain JPEG") from None


def _put(patches: Sequence[Patch], coefficients: Coefficients) -> None:
    for patch in patches:
        patch.put_into(coefficients.planes[patch.component])
