"""How a stored picture lies to the upright one that its EXIF orientation makes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from PIL.Image import Transpose

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from PIL.Image import Image

    from batchfill.catalog.sizes import Size
    from batchfill.domain.rows import Box

_TURNED_BACK: Mapping[int, tuple[Transpose, Callable[[Box, int, int], Box]]] = {
    2: (Transpose.FLIP_LEFT_RIGHT, lambda b, w, h: (w - b[2], b[1], w - b[0], b[3])),
    3: (Transpose.ROTATE_180, lambda b, w, h: (w - b[2], h - b[3], w - b[0], h - b[1])),
    4: (Transpose.FLIP_TOP_BOTTOM, lambda b, w, h: (b[0], h - b[3], b[2], h - b[1])),
    5: (Transpose.TRANSPOSE, lambda b, w, h: (b[1], b[0], b[3], b[2])),
    6: (Transpose.ROTATE_90, lambda b, w, h: (h - b[3], b[0], h - b[1], b[2])),
    7: (Transpose.TRANSVERSE, lambda b, w, h: (h - b[3], w - b[2], h - b[1], w - b[0])),
    8: (Transpose.ROTATE_270, lambda b, w, h: (b[1], w - b[2], b[3], w - b[0])),
}
"""By EXIF orientation: what turns a part of the upright picture back, and where the part of a stored box is
in it, given the stored width and height."""
_UNDONE_BY = {6: 8, 8: 6}
"""A quarter turn is undone by the other one, all else by itself."""


class ExifTurn(NamedTuple):
    """The turn of one picture."""

    orientation: int
    """EXIF's number."""
    stored: Size
    """Width and height as stored."""

    def turn_back(self, upright: Image) -> Image:
        """Return *upright*, a part of the picture, as it is stored: itself, where that is upright."""
        turned = _TURNED_BACK.get(self.orientation)
        return upright if turned is None else upright.transpose(turned[0])

    def make_upright(self, stored: Image) -> Image:
        """Return *stored*, a part of the picture, upright: itself, where it is."""
        return self._undone.turn_back(stored)

    def upright_box(self, stored: Box) -> Box:
        """Return where *stored*, a box of the stored picture, is in the upright one."""
        turned = _TURNED_BACK.get(self.orientation)
        return stored if turned is None else turned[1](stored, *self.stored)

    def stored_box(self, upright: Box) -> Box:
        """Return where *upright*, a box of the upright picture, is in the stored one."""
        return self._undone.upright_box(upright)

    @property
    def _undone(self) -> ExifTurn:
        size = self.stored[::-1] if self.orientation in range(5, 9) else self.stored
        return ExifTurn(_UNDONE_BY.get(self.orientation, self.orientation), size)
