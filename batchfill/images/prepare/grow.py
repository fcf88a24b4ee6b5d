"""How far a mask reaches beyond itself: grown by a distance, and fading out over one."""

from __future__ import annotations

from itertools import product
from math import lcm
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageChops, ImageFilter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from batchfill.catalog.sizes import Size
    from batchfill.domain.rows import Box

FINE = 32
"""Pixels up to which a reach is exact; a longer one is found among cells, 32 of them to its length."""

STRIP = 256
"""Rows that are looked at together."""

TILE = 128
"""Pixels to the side of what fades together, at least: the ring along a border is short of most of a mask."""

WHITE = 255

FULL = 128
"""The grey from which a pixel counts as filled."""


def grow_mask(hole: Image.Image, reach: int) -> Image.Image:
    """Return *hole* ("L") white wherever one of its filled pixels is at most *reach* pixels away."""
    box = _core_box(hole)
    if reach == 0 or box is None:
        return hole
    around = _box_around(box, reach, hole.size)
    spread = hole.copy()
    spread.paste(255, around, _grow_by_disc(hole.crop(around), reach))
    return spread


def fade_mask(hole: Image.Image, reach: int) -> Image.Image:
    """Return *hole* with its outer side fading to black; beyond *reach* pixels of it nothing but black is.

    Where *hole* is white the answer is white.
    """
    box = hole.getbbox()
    if reach == 0 or box is None:
        return hole
    around, spread = _box_around(box, reach, hole.size), hole.copy()
    left, top = around[:2]

    def crop(part: Box) -> Image.Image:
        return hole.crop((part[0] + left, part[1] + top, part[2] + left, part[3] + top))

    for tile, faded in fade_tiles(crop, (around[2] - left, around[3] - top), reach):
        spread.paste(faded, (tile[0] + left, tile[1] + top))
    return spread


def fade_tiles(
    crop: Callable[[Box], Image.Image], size: Size, reach: int
) -> Iterator[tuple[Box, Image.Image]]:
    """Give the tiles of a mask of *size* that change when it fades over *reach* pixels, and what they become.

    *crop*: returns what is in a box of it; all that is not black is *reach* away from its edges, or they are
    those of the picture.
    """
    for tile, near in _ring_tiles(crop, size, reach):
        yield tile, _fade_whole(crop(near), reach).crop(_seen_from(near, tile))


def _fade_whole(part: Image.Image, reach: int) -> Image.Image:
    """Return *part* fading out over *reach*, without a look at where there is nothing to fade."""
    # Blurred by half the reach, twice: a slope that begins at the border and ends at the reach.
    middle = _grow_by_disc(part, max(reach // 2, 1), full=1)
    slope = middle.filter(ImageFilter.BoxBlur(reach / 4)).filter(ImageFilter.BoxBlur(reach / 4))
    within = ImageChops.darker(slope, _grow_by_disc(part, reach, full=1))
    return ImageChops.lighter(within, part)


def _ring_tiles(crop: Callable[[Box], Image.Image], size: Size, reach: int) -> list[tuple[Box, Box]]:
    """Return the tiles along the border of what is filled, each with all around it that it hangs on.

    White fades to white, and what is farther away than *reach* to black: such tiles are as they are.
    """
    tiles = [
        (tile, near)
        for tile, near in _all_tiles(size, reach)
        if crop(tile).getextrema()[0] != WHITE and crop(near).getbbox() is not None
    ]
    whole = 0, 0, *size
    return tiles if sum(_area(near) for _, near in tiles) < _area(whole) else [(whole, whole)]


def _all_tiles(size: Size, reach: int) -> Iterator[tuple[Box, Box]]:
    grid = lcm(_scale_of(reach), _scale_of(max(reach // 2, 1)))
    side = -(-max(TILE, 4 * reach) // grid) * grid
    # Cells stand for what lies in them, and the two blurs reach as far as half the reach and a pixel each.
    margin = -(-(reach + 2 * grid + 8) // grid) * grid
    for top, left in product(range(0, size[1], side), range(0, size[0], side)):
        tile = left, top, min(left + side, size[0]), min(top + side, size[1])
        yield tile, _box_around(tile, margin, size)


def _area(box: Box) -> int:
    return (box[2] - box[0]) * (box[3] - box[1])


def _seen_from(outer: Box, inner: Box) -> Box:
    """Return *inner* counted from the corner of *outer*."""
    left, top = outer[:2]
    return inner[0] - left, inner[1] - top, inner[2] - left, inner[3] - top


def _scale_of(reach: int) -> int:
    """Return how many pixels a cell is wide when a mask grows by *reach*."""
    return -(-reach // FINE)


def _core_box(hole: Image.Image) -> Box | None:
    return hole.point([255 * (grey >= FULL) for grey in range(256)]).getbbox()


def _box_around(box: Box, reach: int, size: Size) -> Box:
    left, top, right, bottom = box
    width, height = size
    return max(left - reach, 0), max(top - reach, 0), min(right + reach, width), min(bottom + reach, height)


def _grow_by_disc(hole: Image.Image, reach: int, *, full: int = FULL) -> Image.Image:
    """Return white where a pixel of at least *full* is within *reach*, black elsewhere."""
    core = np.asarray(hole) >= full
    if reach <= FINE:
        return _white_where(_near_core(core, reach))
    scale = _scale_of(reach)
    # A cell stands for whatever lies in it, so two of them may be a diagonal nearer than what they hold.
    spread = _near_core(_occupied_cells(core, scale), int(reach / scale - 2**0.5))
    fine = spread.repeat(scale, axis=0).repeat(scale, axis=1)[: core.shape[0], : core.shape[1]]
    return _white_where(fine | core)


def _white_where(marked: NDArray[np.bool_]) -> Image.Image:
    return Image.fromarray(marked.astype(np.uint8) * np.uint8(255))


def _occupied_cells(core: NDArray[np.bool_], scale: int) -> NDArray[np.bool_]:
    """Return which squares of *scale* pixels hold any pixel of *core*."""
    height, width = core.shape
    even = np.pad(core, ((0, -height % scale), (0, -width % scale)))
    squares = even.reshape(-(-height // scale), scale, -(-width // scale), scale)
    return np.asarray(squares.any(axis=(1, 3)), np.bool_)


def _near_core(core: NDArray[np.bool_], reach: int) -> NDArray[np.bool_]:
    """Return where a pixel of *core* is at most *reach* away, as the crow flies."""
    near = np.empty_like(core)
    # Strip by strip: a mask may be as large as a picture, and distances take more room than it.
    for top in range(0, core.shape[0], STRIP):
        first = max(top - reach, 0)
        strip = _within_strip(core[first : top + STRIP + reach], reach)
        near[top : top + STRIP] = strip[top - first : top - first + STRIP]
    return near


def _within_strip(core: NDArray[np.bool_], reach: int) -> NDArray[np.bool_]:
    """Return where a pixel of *core* is at most *reach* away."""
    width = core.shape[1]
    near, column, grown = core.copy(), core.copy(), 0
    for across in range(reach, -1, -1):
        # The nearer in its row, the farther up and down: a column that has grown only grows on.
        down = int((reach * reach - across * across) ** 0.5)
        for away in range(grown + 1, down + 1):
            column[away:] |= core[:-away]
            column[:-away] |= core[away:]
        grown = down
        if across < width:
            near[:, across:] |= column[:, : width - across]
            near[:, : width - across] |= column[:, across:]
    return near
