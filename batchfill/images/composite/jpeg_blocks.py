"""A JPEG with some of its blocks exchanged: every other coefficient is the original's."""

from __future__ import annotations

import os
import tempfile
from contextlib import contextmanager
from errno import ENOSPC
from importlib.util import find_spec
from pathlib import Path
from shutil import disk_usage
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from PIL.Image import Image, Transpose

from batchfill.images.composite.jpeg_frame import (
    BLOCK,
    CannotExchange,
    Component,
    Frame,
    read_frame,
    rename_components,
)
from batchfill.images.rights import jpeg_segments
from batchfill.images.rights.jpeg_segments import Segment, join_jpeg, split_jpeg

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from batchfill.domain.rows import Box

    Coefficients: TypeAlias = NDArray[np.int16]
    """Rows and columns of blocks, and of 8 x 8 coefficients."""
    Samples: TypeAlias = NDArray[np.float32]

_STRIP = 4
"""Rows of the grid that are worked on together."""
_ROOM = 4
"""How many times its original a JPEG may need on the disk while it is made."""
_PREFERRED = "turbo210"
"""Of the decoders that jpeglib brings along: what it lets pass is what Pillow's own lets pass."""

_WITH_BLACK = 4
"""Components of a JPEG of inks."""
_BASELINE = 0xC0

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


class Exchange:
    """A JPEG in which the blocks are exchanged that a hole touches: read, filled, then written."""

    def __init__(self, content: bytes, orientation: int) -> None:
        """*content*: the original; *orientation*: EXIF's. Raises CannotExchange when it cannot be done."""
        if find_spec("jpeglib") is None:
            raise CannotExchange("jpeglib is not installed here")
        try:
            segments = split_jpeg(content)
        except ValueError:
            raise CannotExchange("it is no plain JPEG") from None
        self.about = [segment for segment in segments if segment.is_about]
        """The segments that tell of the picture."""
        self.frame = read_frame(segments)
        coded = [segment for segment in segments if not segment.is_about]
        # Any decoder takes components of these names for luma and chroma, and leaves them as they are.
        self._coded = rename_components(coded, range(1, len(self.frame.components) + 1))
        self._orientation = orientation

    def fill(self, picture: Image, hole: Image, folder: Path) -> None:
        """Exchange the blocks that *hole*, where it is not black, touches: they show *picture*.

        Both are upright; *picture* is in mode L, RGB or CMYK, as the JPEG is. All other blocks keep the
        original's coefficients. A decoder that blends colours across blocks shows other colours up to one of
        their samples beyond the blocks that are exchanged. *folder* takes files meanwhile. Raises
        CannotExchange when libjpeg finds the original damaged, OSError when the disk is full.
        """
        content = join_jpeg(self._coded)
        with _place_for_libjpeg(folder, len(content)) as place:
            self._jpeg = _read_blocks(content, place / "original.jpg")
        # The scans are in there, too.
        self._coded = [segment._replace(scan=b"") for segment in self._coded]
        self._exchange(self._jpeg, picture, hole)

    def write(self, folder: Path) -> list[Segment]:
        """Return the segments of the JPEG that was filled, but for those that tell of the picture."""
        with _place_for_libjpeg(folder, len(self._jpeg.content)) as place:
            made = _write_blocks(self._jpeg, self._coded, self.frame, place / "made.jpg")
        return rename_components(made, [component.id for component in self.frame.components])

    def turn_back(self, upright: Image) -> Image:
        """Return *upright*, of any size, turned as the JPEG is stored."""
        turned = _TURNED_BACK.get(self._orientation)
        return upright if turned is None else upright.transpose(turned[0])

    def _exchange(self, jpeg: Any, picture: Image, hole: Image) -> None:
        planes = _planes(jpeg)
        for box in self._cover(hole):
            touched = self._stored(hole, box)
            if touched.getbbox() is None:
                continue
            samples = _to_components(self._stored(picture, box), self.frame)
            for n, component in enumerate(self.frame.components):
                table = jpeg.qt[jpeg.quant_tbl_no[n]]
                shrunk = _Part(self.frame, component, box, touched, samples[n])
                shrunk.put_into(planes[n], table)

    def _cover(self, hole: Image) -> Iterator[Box]:
        """Give boxes of whole units that hold all of *hole* that is not black, in the stored picture."""
        found = self._stored(hole, (0, 0, self.frame.width, self.frame.height)).getbbox()
        if found is None:
            return
        (across, down), (left, top, right, bottom) = self.frame.unit, found
        left, right = left // across * across, -(-right // across) * across
        for at in range(top // down * down, bottom, _STRIP * down):
            yield left, at, right, min(at + _STRIP * down, -(-bottom // down) * down)

    def _stored(self, upright: Image, box: Box) -> Image:
        """Return what *upright* shows in *box* of the stored picture, turned as it is stored; cut at its
        edges."""
        width, height = self.frame.width, self.frame.height
        box = box[0], box[1], min(box[2], width), min(box[3], height)
        if self._orientation not in _TURNED_BACK:
            return upright.crop(box)
        turn, place = _TURNED_BACK[self._orientation]
        return upright.crop(place(box, width, height)).transpose(turn)


class _Part:
    """One component in one box of the grid."""

    def __init__(
        self, frame: Frame, component: Component, box: Box, touched: Image, samples: Samples
    ) -> None:
        """*touched*, *samples*: in that box, cut at the picture's edges."""
        self._box, (self._across, self._down) = box, frame.unit
        self._component = component
        self._shrink = frame.across // component.across, frame.down // component.down
        self._touched = touched
        self._samples = samples

    def put_into(self, plane: Coefficients, table: NDArray[Any]) -> None:
        """Exchange the blocks of *plane* that are touched, quantised with *table*."""
        blocks = self._blocks()
        touched = self._touched_blocks()
        left = self._box[0] // self._across * self._component.across
        top = self._box[1] // self._down * self._component.down
        # The last units of the grid may reach beyond the blocks that are kept.
        target = plane[top : top + len(blocks), left : left + blocks.shape[1]]
        rows, columns = target.shape[:2]
        chosen = touched[:rows, :columns]
        new = blocks[:rows, :columns][chosen]
        cosines = _cosines()
        frequencies = cosines @ new @ cosines.T / table.astype(np.float32)
        target[chosen] = np.clip(np.rint(frequencies), -1023, 1023).astype(np.int16)

    def _blocks(self) -> Samples:
        """Return the samples as rows and columns of blocks, averaged where the component has fewer."""
        whole = self._padded(self._samples, "edge")
        (across, down), (height, width) = self._shrink, whole.shape
        fewer = whole.reshape(height // down, down, width // across, across).mean(axis=(1, 3))
        rows, columns = fewer.shape[0] // BLOCK, fewer.shape[1] // BLOCK
        blocks: Samples = fewer.reshape(rows, BLOCK, columns, BLOCK).swapaxes(1, 2) - np.float32(128)
        return blocks

    def _touched_blocks(self) -> NDArray[np.bool_]:
        whole = self._padded(np.asarray(self._touched) > 0, "constant")
        (across, down), (height, width) = self._shrink, whole.shape
        parts = whole.reshape(height // (BLOCK * down), BLOCK * down, width // (BLOCK * across), -1)
        return np.asarray(parts.any(axis=(1, 3)), np.bool_)

    def _padded(self, values: NDArray[Any], mode: Any) -> NDArray[Any]:
        height, width = self._box[3] - self._box[1], self._box[2] - self._box[0]
        short = ((0, height - values.shape[0]), (0, width - values.shape[1]))
        return np.pad(values, short, mode=mode)


def _cosines() -> Samples:
    waves = np.cos(np.pi * np.outer(np.arange(BLOCK), 2 * np.arange(BLOCK) + 1) / (2 * BLOCK)) / 2
    waves[0] /= np.sqrt(2)
    return waves.astype(np.float32)


def _to_components(part: Image, frame: Frame) -> list[Samples]:
    """Return the samples of *part* as a JPEG of *frame* stores them, a component each."""
    values = np.asarray(part, np.float32)
    if values.ndim == 2:
        return [values]
    planes = [values[..., n] for n in range(values.shape[2])]
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


def _read_blocks(content: bytes, path: Path) -> Any:
    import jpeglib

    versions = jpeglib.version.versions()
    jpeglib.version.set(_PREFERRED if _PREFERRED in versions else "6b")
    path.write_bytes(content)
    jpeg = jpeglib.read_dct(str(path))
    jpeg.load()
    return jpeg


def _write_blocks(jpeg: Any, coded: Sequence[Segment], frame: Frame, path: Path) -> list[Segment]:
    """Return the segments of *jpeg*, with Huffman tables of its own; *coded*: the original's."""
    if len(frame.components) == _WITH_BLACK:
        return _write_planes(jpeg, coded, frame, path)
    jpeg.write_dct(str(path), flags=["+OPTIMIZE_CODING"])
    return [segment for segment in split_jpeg(path.read_bytes()) if not segment.is_about]


def _write_planes(jpeg: Any, coded: Sequence[Segment], frame: Frame, path: Path) -> list[Segment]:
    """The same with a scan for each component: jpeglib writes no fourth one along with the others."""
    import jpeglib

    made = [s for s in coded if s.marker == jpeg_segments.QUANTISATION]
    made += [s._replace(marker=_BASELINE) for s in coded if s.marker in jpeg_segments.FRAMES]
    for n, component in enumerate(frame.components):
        plane = jpeglib.from_dct(_planes(jpeg)[n], qt=jpeg.qt[:1])
        plane.width, plane.height = frame.samples(component)
        plane.write_dct(str(path), flags=["+OPTIMIZE_CODING"])
        for segment in split_jpeg(path.read_bytes()):
            if segment.marker == jpeg_segments.HUFFMAN:
                made.append(segment)
            elif segment.marker == jpeg_segments.SCAN:
                made.append(segment._replace(payload=bytes((1, n + 1)) + segment.payload[2:]))
    return made


def _planes(jpeg: Any) -> list[Coefficients]:
    return [plane for plane in (jpeg.Y, jpeg.Cb, jpeg.Cr, jpeg.K) if plane is not None]


@contextmanager
def _place_for_libjpeg(folder: Path, size: int) -> Iterator[Path]:
    """Give a folder in *folder* that goes afterwards, and that takes jpeglib's own copies as well.

    *size*: bytes of the JPEG. Raises OSError where there is no room, which libjpeg would end the process for,
    and CannotExchange where libjpeg complained.
    """
    if disk_usage(folder).free < _ROOM * size:
        raise OSError(ENOSPC, os.strerror(ENOSPC), str(folder))
    before = tempfile.tempdir
    with tempfile.TemporaryDirectory(dir=folder, prefix="jpeg-") as name:
        tempfile.tempdir = name
        try:
            with _silent_libjpeg(Path(name) / "told"):
                yield Path(name)
        except OSError as error:
            if error.errno is not None:
                raise
            # Not the system's: so jpeglib says that libjpeg gave up.
            raise CannotExchange("it is damaged in places") from error
        finally:
            tempfile.tempdir = before


@contextmanager
def _silent_libjpeg(path: Path) -> Iterator[None]:
    """Keep what libjpeg prints on standard error in *path*. Raises CannotExchange where it said something.

    Its C code writes to the file descriptor, and only about damage.
    """
    kept = os.dup(2)
    try:
        with path.open("wb") as told:
            os.dup2(told.fileno(), 2)
            try:
                yield
            finally:
                os.dup2(kept, 2)
    finally:
        os.close(kept)
    if path.stat().st_size:
        raise CannotExchange("it is damaged in places")
