"""What an inpainting model does, from bytes to bytes: scale, fill, encode."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image
from PIL.Image import Resampling

from batchfill.images.colours import grey, without_alpha
from batchfill.images.fill import fill
from batchfill.images.opening import opened

_FORMATS = {"webp": "WEBP", "jpg": "JPEG", "png": "PNG"}


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


def paint(task: PaintTask) -> tuple[bytes, ...]:
    """Return one encoded picture for each seed. EXIF is ignored. Raises BadPicture."""
    with opened(io.BytesIO(task.picture), "image") as image:
        picture = without_alpha(image, "image").convert("RGB").resize(task.size, Resampling.LANCZOS)
    with opened(io.BytesIO(task.mask), "mask") as image:
        mask = grey(image, "mask").resize(task.size, Resampling.BILINEAR)
    pixels, unknown = np.asarray(picture), np.asarray(mask)
    return tuple(_encode(fill(pixels, unknown, seed), task) for seed in task.seeds)


def _encode(pixels: np.ndarray[tuple[int, ...], np.dtype[np.uint8]], task: PaintTask) -> bytes:
    target = io.BytesIO()
    Image.fromarray(pixels).save(target, _FORMATS[task.format], quality=task.quality)
    return target.getvalue()
