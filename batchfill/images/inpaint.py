"""The classical fill: a push-pull pyramid whose texture the seed varies, from bytes to bytes."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image
from PIL.Image import Resampling

from batchfill.images.codec.colors import to_grey, without_alpha
from batchfill.images.codec.open import open_image

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from numpy.typing import NDArray

    Bytes = NDArray[np.uint8]
    Floats = NDArray[np.float32]


_OCTAVES = ((64, 0.7), (32, 0.6), (16, 0.5), (8, 0.3), (4, 0.2))
"""Side of a noise cell in pixels, each half of the one before, and its share: larger patches vary more."""

_SURROUNDINGS = 48
"""Pixels around the mask that the fill is made from."""


def fill_masked(picture: Bytes, mask: Bytes, seed: int) -> Bytes:
    """Return *picture* (height, width, 3) with the white of *mask* (height, width) filled.

    White is filled smoothly from its surroundings with a faint texture, black keeps its bytes, grey is
    blended. The same seed gives the same pixels, another seed others.
    """
    filled = picture.copy()
    if not mask.any():
        return filled
    # What lies far from the mask cannot change the fill, and most masks are small.
    rows, columns = _reach_of(mask.max(axis=1)), _reach_of(mask.max(axis=0))
    part, hole = filled[rows, columns], mask[rows, columns]
    painted = _paint_part(part, hole, seed).clip(0, 255).round().astype(np.uint8)
    filled[rows, columns] = np.where((hole == 0)[..., None], part, painted.transpose(1, 2, 0))
    return filled


def _reach_of(marked: NDArray[Any]) -> slice:
    """Return where *marked* is not zero, from first to last, and the surroundings on both sides."""
    places = np.flatnonzero(marked)
    return slice(max(int(places[0]) - _SURROUNDINGS, 0), int(places[-1]) + 1 + _SURROUNDINGS)


def _paint_part(part: Bytes, hole: Bytes, seed: int) -> Floats:
    """Return the filled colours in three planes (3, height, width), not yet clipped."""
    unknown = hole.astype(np.float32) / np.float32(255)
    known = np.float32(1) - unknown
    planes = np.ascontiguousarray(part.transpose(2, 0, 1), np.float32)
    if not known.any():
        planes[:], known = 128, np.ones_like(known)
    smooth = _push_pull(planes, known)
    return smooth + _make_noise(hole.shape[0], hole.shape[1], seed) * (_measure_detail(part) * unknown)


def _push_pull(planes: Floats, known: Floats) -> Floats:
    """Return *planes* where *known* is 1, and what coarser levels know of the surroundings elsewhere."""
    height, width = known.shape
    if (height <= 1 and width <= 1) or known.min() >= 1:
        return planes
    even = ((0, height % 2), (0, width % 2))
    weight = _sum_of_four(np.pad(known, even))
    weighted = _sum_of_four(np.pad(planes * known, ((0, 0), *even)))
    coarse: Floats = np.divide(weighted, np.maximum(weight, np.float32(1e-6)))
    up = _double_size(_push_pull(coarse, np.minimum(weight, np.float32(1))))[:, :height, :width]
    return up + (planes - up) * known


def _sum_of_four(values: Floats) -> Floats:
    rows = values[..., 0::2, :] + values[..., 1::2, :]
    return rows[..., 0::2] + rows[..., 1::2]


def _double_size(values: Floats) -> Floats:
    """Return *values* twice as high and wide (the last two axes), interpolated linearly."""
    rows = _double_rows(values)
    return _double_rows(rows.swapaxes(-1, -2)).swapaxes(-1, -2)


def _double_rows(values: Floats) -> Floats:
    *planes, height, width = values.shape
    out = np.empty((*planes, 2 * height, width), np.float32)
    near, far = values * np.float32(0.75), values * np.float32(0.25)
    out[..., 0::2, :] = near
    out[..., 1::2, :] = near
    out[..., 2::2, :] += far[..., :-1, :]
    out[..., 1:-1:2, :] += far[..., 1:, :]
    out[..., 0, :] += far[..., 0, :]
    out[..., -1, :] += far[..., -1, :]
    return out


def _make_noise(height: int, width: int, seed: int) -> Floats:
    """Return noise of mean 0 and deviation of the order of 1, without detail finer than its last octave."""
    random = np.random.default_rng(seed)
    coarsest = 2 * _OCTAVES[0][0]
    total = np.zeros((height // coarsest + 2, width // coarsest + 2), np.float32)
    for cell, share in _OCTAVES:
        rows, columns = height // cell + 2, width // cell + 2
        total = _double_size(total)[:rows, :columns]
        total += np.float32(share) * random.standard_normal((rows, columns), np.float32)
    return _double_size(_double_size(total))[:height, :width]


def _measure_detail(picture: Bytes) -> float:
    """Return how strong the texture should be, in grey levels: by how much neighbouring pixels differ."""
    green = picture[::4, :, 1].astype(np.int16)
    return float(np.clip(np.abs(np.diff(green, axis=1)).mean(), 3, 10)) if green.shape[1] > 1 else 3.0


_FORMATS: Mapping[str, tuple[str, Mapping[str, int]]] = {
    "webp": ("WEBP", {"method": 2}),
    "jpg": ("JPEG", {}),
    "png": ("PNG", {"compress_level": 1}),
}
"""What Pillow calls a format, and how to pack it quickly: the files need not be as small as they can be."""


@dataclass(frozen=True, slots=True)
class PaintTask:
    """One prediction's picture and mask, and what to make of them."""

    picture: bytes
    mask: bytes
    size: tuple[int, int]
    """Width and height of the outputs; both inputs are scaled to it, whatever their shapes."""
    seeds: tuple[int, ...]
    """One for each output."""
    format: str
    """`webp`, `jpg` or `png`."""
    quality: int
    """0 to 100; png has none."""


def inpaint_files(task: PaintTask) -> tuple[bytes, ...]:
    """Return one encoded picture for each seed. EXIF is ignored. Raises BadPicture."""
    with open_image(io.BytesIO(task.picture), "image") as image:
        picture = without_alpha(image, "image").convert("RGB").resize(task.size, Resampling.LANCZOS)
    with open_image(io.BytesIO(task.mask), "mask") as image:
        mask = to_grey(image, "mask").resize(task.size, Resampling.BILINEAR)
    pixels, unknown = np.asarray(picture), np.asarray(mask)
    return tuple(_encode_pixels(fill_masked(pixels, unknown, seed), task) for seed in task.seeds)


def _encode_pixels(pixels: np.ndarray[tuple[int, ...], np.dtype[np.uint8]], task: PaintTask) -> bytes:
    target = io.BytesIO()
    format_, options = _FORMATS[task.format]
    Image.fromarray(pixels).save(target, format_, quality=task.quality, **options)
    return target.getvalue()
