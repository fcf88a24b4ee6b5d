"""Boxes and polygons, filled."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from batchfill.catalog.sizes import Size
    from batchfill.domain.drawn_masks import DrawnMask
    from batchfill.domain.rows import Box

_STRIP = 256
"""Rows that are filled together, so that a large picture takes no more room than its mask."""


def fill_shapes(drawn: DrawnMask, size: Size, scale: tuple[float, float] = (1, 1)) -> Image.Image:
    """Return "L" of *size*, white inside each shape: where the middle of a pixel lies inside.

    Corners are multiplied by *scale* first. What a polygon encloses twice lies outside of it, as drawing
    programs have it; shapes that overlap are one. What lies outside of *size* is left out.
    """
    whole = Image.new("L", size, 0)
    for corners in drawn.polygons:
        points = np.asarray(corners, np.float64) * scale
        left, top, right, bottom = _clip_bounds(points, size)
        sides = _sides_of(points)
        for first in range(top, bottom, _STRIP):
            box = left, first, right, min(first + _STRIP, bottom)
            if left < right:
                _paste_white(whole, box, _inside_of(sides, box))
    return whole


def _clip_bounds(points: NDArray[np.float64], size: Size) -> Box:
    low, high = points.min(axis=0), points.max(axis=0)
    left, top = (int(max(np.floor(edge), 0)) for edge in low)
    right, bottom = (int(min(np.ceil(edge), most)) for edge, most in zip(high, size, strict=True))
    return left, top, right, bottom


def _sides_of(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the sides (n, 4), each from its upper end to its lower one."""
    ends = np.roll(points, -1, axis=0)
    falls = (points[:, 1] <= ends[:, 1])[:, None]
    return np.hstack([np.where(falls, points, ends), np.where(falls, ends, points)])


def _inside_of(sides: NDArray[np.float64], box: Box) -> NDArray[np.bool_]:
    """Return which pixels of *box* have their middle inside: an odd number of sides lies left of it."""
    left, top, right, bottom = box
    # Each side switches what lies to the right of where it crosses a row; switched twice is not switched.
    switched = np.zeros((bottom - top, right - left + 1), np.bool_)
    for side in sides[(sides[:, 1] < bottom) & (sides[:, 3] > top)]:
        _switch_side(switched, side, box)
    return np.asarray(np.logical_xor.accumulate(switched, axis=1)[:, :-1], np.bool_)


def _switch_side(switched: NDArray[np.bool_], side: NDArray[np.float64], box: Box) -> None:
    left, top, right, bottom = box
    from_x, from_y, to_x, to_y = side
    first = max(int(np.ceil(from_y - 0.5)), top)
    last = min(int(np.ceil(to_y - 0.5)), bottom)
    if first >= last:
        return
    middles = np.arange(first, last) + 0.5
    crossings = from_x + (middles - from_y) * ((to_x - from_x) / (to_y - from_y))
    columns = np.clip(np.ceil(crossings - 0.5), left, right).astype(np.intp) - left
    switched[np.arange(first, last) - top, columns] ^= True


def _paste_white(whole: Image.Image, box: Box, inside: NDArray[np.bool_]) -> None:
    marked = Image.fromarray(inside.astype(np.uint8) * np.uint8(255))
    whole.paste(255, box, marked)
