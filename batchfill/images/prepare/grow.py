"""How far a mask reaches beyond itself: grown by a distance, and fading out over one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageChops, ImageFilter

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from batchfill.domain.rows import Box

FINE = 32
"""Pixels up to which a reach is exact; a longer one is found among cells, 32 of them to its length."""

STRIP = 256
"""Rows that are looked at together."""

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
    around = _box_around(box, reach, hole.size)
    part = hole.crop(around)
    # Blurred by half the reach, twice: a slope that begins at the border and ends at the reach.
    middle = _grow_by_disc(part, max(reach // 2, 1), full=1)
    slope = middle.filter(ImageFilter.BoxBlur(reach / 4)).filter(ImageFilter.BoxBlur(reach / 4))
    within = ImageChops.darker(slope, _grow_by_disc(part, reach, full=1))
    spread = hole.copy()
    spread.paste(ImageChops.lighter(within, part), around)
    return spread


def _core_box(hole: Image.Image) -> Box | None:
    return hole.point([255 * (grey >= FULL) for grey in range(256)]).getbbox()


def _box_around(box: Box, reach: int, size: tuple[int, int]) -> Box:
    left, top, right, bottom = box
    width, height = size
    return max(left - reach, 0), max(top - reach, 0), min(right + reach, width), min(bottom + reach, height)


def _grow_by_disc(hole: Image.Image, reach: int, *, full: int = FULL) -> Image.Image:
    """Return white where a pixel of at least *full* is within *reach*, black elsewhere."""
    core = np.asarray(hole) >= full
    if reach <= FINE:
        return _white_where(_near_core(core, reach))
    scale = -(-reach // FINE)
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
    width = core.shape[1]
    away = _rows_away(core)
    near = np.zeros_like(core)
    for across in range(-min(reach, width - 1), min(reach, width - 1) + 1):
        down = int((reach * reach - across * across) ** 0.5)
        here, there = (
            slice(max(across, 0), width + min(across, 0)),
            slice(max(-across, 0), width - max(across, 0)),
        )
        near[:, here] |= away[:, there] <= down
    return near


def _rows_away(core: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Return for every pixel how many rows up or down the next pixel of *core* in its column is."""
    height = core.shape[0]
    far = 2 * height + 2 * FINE
    rows = np.arange(height, dtype=np.int32)[:, None]
    above = rows - np.maximum.accumulate(np.where(core, rows, -far), axis=0)
    below = np.minimum.accumulate(np.where(core, rows, far + height)[::-1], axis=0)[::-1] - rows
    return np.minimum(above, below)
