"""Pixels as the samples and blocks of a JPEG, and blocks as pixels of a smaller picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np
from PIL import Image, ImageChops
from PIL.Image import Resampling

from batchfill.images.composite.jpeg_frame import BLOCK

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from batchfill.domain.rows import Box
    from batchfill.images.composite.jpeg_frame import Component, Frame
    from batchfill.images.composite.libjpeg import Plane

    Samples: TypeAlias = NDArray[np.float32]


class Patch(NamedTuple):
    """New blocks of one component."""

    component: int
    corner: tuple[int, int]
    """Row and column of the first block."""
    chosen: NDArray[np.bool_]
    """Rows and columns of blocks: those that are exchanged."""
    coefficients: NDArray[np.int16]
    """Theirs, one after the other."""

    def put_into(self, plane: Plane) -> None:
        """Exchange the blocks of *plane*, which holds all of the component."""
        top, left = self.corner
        rows, columns = self.chosen.shape
        plane[top : top + rows, left : left + columns][self.chosen] = self.coefficients


class BlockCoder:
    """One component in one box of the grid."""

    def __init__(
        self, frame: Frame, component: Component, box: Box, touched: Image.Image, samples: Samples
    ) -> None:
        """*touched*, *samples*: in that box, cut at the picture's edges."""
        self._frame = frame
        self._box, (self._across, self._down) = box, frame.unit
        self._component = component
        self._shrink = frame.across // component.across, frame.down // component.down
        self._touched = touched
        self._samples = samples

    def encode(self, number: int, table: Sequence[int]) -> Patch:
        """Return the blocks that are touched, quantised with *table*; *number*: of the component."""
        top = self._box[1] // self._down * self._component.down
        left = self._box[0] // self._across * self._component.across
        # The last units of the grid may reach beyond the blocks that are kept.
        rows, columns = self._frame.blocks(self._component)
        chosen = self._touched_blocks()[: rows - top, : columns - left]
        new = self._blocks()[: rows - top, : columns - left][chosen]
        cosines = _cosines(BLOCK)
        steps = np.asarray(table, np.float32).reshape(BLOCK, BLOCK)
        frequencies = cosines @ new @ cosines.T / steps
        return Patch(number, (top, left), chosen, np.clip(np.rint(frequencies), -1023, 1023).astype(np.int16))

    def _blocks(self) -> Samples:
        """Return the samples as rows and columns of blocks, averaged where the component has fewer."""
        whole = self._padded(self._samples, "edge")
        across, down = self._shrink
        # Slices that are added: numpy takes ten times as long for means of so few.
        parts = [whole[row::down, column::across] for row in range(down) for column in range(across)]
        fewer: Samples = sum(parts[1:], start=parts[0]) * np.float32(1 / len(parts))
        rows, columns = fewer.shape[0] // BLOCK, fewer.shape[1] // BLOCK
        blocks: Samples = fewer.reshape(rows, BLOCK, columns, BLOCK).swapaxes(1, 2) - np.float32(128)
        return blocks

    def _touched_blocks(self) -> NDArray[np.bool_]:
        whole = self._padded(np.asarray(self._touched), "constant")
        across, down = self._shrink
        # The width of a block at once.
        pieces = np.ascontiguousarray(whole).view(np.uint64)
        wide = [pieces[:, column::across] for column in range(across)]
        joined = np.bitwise_or.reduce(wide).reshape(len(whole) // (BLOCK * down), BLOCK * down, -1)
        return np.asarray(np.bitwise_or.reduce(joined, axis=1) > 0, np.bool_)

    def _padded(self, values: NDArray[Any], mode: Any) -> NDArray[Any]:
        height, width = self._box[3] - self._box[1], self._box[2] - self._box[0]
        short = ((0, height - values.shape[0]), (0, width - values.shape[1]))
        # numpy takes its time to add nothing.
        return values if values.shape == (height, width) else np.pad(values, short, mode=mode)


def shrink_blocks(
    planes: Sequence[Plane], tables: Sequence[Sequence[int]], frame: Frame, least: int
) -> Image.Image:
    """Return what *planes* show, each with its table of quantisation, at 1, 2, 4 or 8 eighths of its size.

    Its longer side is *least* pixels or more, as far as the picture's is.
    """
    kept = next((n for n in (1, 2, 4) if max(frame.width, frame.height) * n >= least * BLOCK), BLOCK)
    size = -(-frame.width * kept // BLOCK), -(-frame.height * kept // BLOCK)
    bands = []
    for plane, table, component in zip(planes, tables, frame.components, strict=True):
        across, down = frame.across // component.across, frame.down // component.down
        # Colours that are stored coarser keep more of their detail, so that they are as fine as the rest.
        kept_across, kept_down = min(kept * across, BLOCK), min(kept * down, BLOCK)
        band = Image.fromarray(_shrink_plane(plane, table, kept_across, kept_down))
        source = 0, 0, size[0] * kept_across / (kept * across), size[1] * kept_down / (kept * down)
        bands.append(band.resize(size, Resampling.BILINEAR, source))
    return _from_components(bands, frame)


def _shrink_plane(plane: Plane, table: Sequence[int], across: int, down: int) -> NDArray[np.uint8]:
    """Return the samples of blocks of *across* x *down* pixels; the finer frequencies are left out."""
    rows, columns = plane.shape[:2]
    steps = np.asarray(table, np.float32).reshape(BLOCK, BLOCK)[:down, :across]
    # The blocks last: two large products, since numpy takes its time to begin each of many small ones.
    kept = np.ascontiguousarray(plane.transpose(2, 3, 0, 1)[:down, :across]) * steps[..., None, None]
    high = (_cosines(down).T @ kept.reshape(down, -1)).reshape(down, across, -1)
    whole = _cosines(across).T @ high.swapaxes(0, 1).reshape(across, -1)
    whole *= np.float32(np.sqrt(across * down) / BLOCK)
    samples = np.clip(np.rint(whole + 128), 0, 255).astype(np.uint8)
    return samples.reshape(across, down, rows, columns).transpose(2, 1, 3, 0).reshape(rows * down, -1)


def _cosines(side: int) -> Samples:
    """Return the waves whose sums are *side* pixels, one a row, each of length 1."""
    waves = np.cos(np.pi * np.outer(np.arange(side), 2 * np.arange(side) + 1) / (2 * side))
    waves *= np.sqrt(2 / side)
    waves[0] /= np.sqrt(2)
    return waves.astype(np.float32)


def to_components(part: Image.Image, frame: Frame) -> list[Samples]:
    """Return the samples of *part* as a JPEG of *frame* stores them, a component each."""
    planes = [np.asarray(band, np.float32) for band in part.split()]
    if frame.colours in ("YCbCr", "YCCK"):
        # Adobe stores inks inverted, and turns what they leave into luma and chroma.
        planes[:3] = _to_luma(planes[:3])
    if frame.adobe is not None and len(planes) == 4:
        inverted = planes[3:] if frame.colours == "YCCK" else planes
        planes[4 - len(inverted) :] = [255 - plane for plane in inverted]
    return planes


def _to_luma(planes: Sequence[Samples]) -> list[Samples]:
    """Return red, green and blue as luma and two chromas, as JFIF has them."""
    red, green, blue = planes
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    return [luma, (blue - luma) / 1.772 + 128, (red - luma) / 1.402 + 128]


def _from_components(bands: Sequence[Image.Image], frame: Frame) -> Image.Image:
    """Return the picture whose samples, as a JPEG of *frame* stores them, are *bands*."""
    if len(bands) == 1:
        return bands[0]
    if frame.colours not in ("YCbCr", "YCCK"):
        whole = Image.merge(frame.colours, bands)
        return ImageChops.invert(whole) if frame.adobe is not None and frame.colours == "CMYK" else whole
    plain = Image.merge("YCbCr", bands[:3]).convert("RGB")
    return plain if len(bands) == 3 else Image.merge("CMYK", [*plain.split(), ImageChops.invert(bands[3])])
