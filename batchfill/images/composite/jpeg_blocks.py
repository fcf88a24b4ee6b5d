"""A JPEG with some of its blocks exchanged: every other coefficient is the original's."""

from __future__ import annotations

import os
import tempfile
from contextlib import contextmanager
from errno import ENOSPC
from importlib.util import find_spec
from pathlib import Path
from shutil import disk_usage
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np
from PIL.Image import Image, Transpose

from batchfill.images.composite.jpeg_frame import (
    BLOCK,
    CannotExchange,
    Component,
    Frame,
    has_usual_codes,
    read_frame,
    read_tables,
    rename_components,
)
from batchfill.images.rights import jpeg_segments
from batchfill.images.rights.jpeg_segments import Segment, join_jpeg, split_jpeg

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from batchfill.domain.rows import Box
    from batchfill.images.prepare.hole import Hole

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
_OPTIMISED = "+OPTIMIZE_CODING"
_PLANES = "Y", "Cb", "Cr", "K"
"""What jpeglib calls the components, whatever they are."""

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


class _Patch(NamedTuple):
    """New blocks of one component."""

    component: int
    corner: tuple[int, int]
    """Row and column of the first block."""
    chosen: NDArray[np.bool_]
    """Rows and columns of blocks: those that are exchanged."""
    coefficients: Coefficients
    """Theirs, one after the other."""

    def put_into(self, plane: Coefficients) -> None:
        """Exchange the blocks of *plane*, which holds all of the component."""
        top, left = self.corner
        rows, columns = self.chosen.shape
        plane[top : top + rows, left : left + columns][self.chosen] = self.coefficients


class Exchange:
    """A JPEG in which the blocks are exchanged that a hole touches: filled, then read and written."""

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
        self._tables = read_tables(segments)
        coded = [segment for segment in segments if not segment.is_about]
        # Any decoder takes components of these names for luma and chroma, and leaves them as they are.
        self._coded = rename_components(coded, range(1, len(self.frame.components) + 1))
        self._orientation = orientation
        self._patches: list[_Patch] = []

    def fill(self, picture: Image, hole: Hole) -> None:
        """Exchange the blocks that *hole*, where it is not black, touches: they show *picture*.

        Both are upright; *picture* is in mode L, RGB or CMYK, as the JPEG is, and is not needed afterwards.
        All other blocks keep the original's coefficients. A decoder that blends colours across blocks shows
        other colours up to one of their samples beyond the blocks that are exchanged.
        """
        for box in self._cover(hole):
            touched = self._stored(hole, box)
            if touched.getbbox() is None:
                continue
            samples = _to_components(self._stored(picture, box), self.frame)
            for n, component in enumerate(self.frame.components):
                part = _Part(self.frame, component, box, touched, samples[n])
                self._patches.append(part.encode(n, self._tables[component.table]))

    def write(self, folder: Path) -> list[Segment]:
        """Return the segments of the JPEG with the blocks, but for those that tell of the picture.

        *folder* takes files meanwhile. Raises CannotExchange when libjpeg finds the original damaged, OSError
        when the disk is full.
        """
        content = join_jpeg(self._coded)
        with _place_for_libjpeg(folder, len(content)) as place:
            jpeg = _read_blocks(content, place / "original.jpg")
            del content
            # The scans are in there, too.
            self._coded = [segment._replace(scan=b"") for segment in self._coded]
            self._exchange(jpeg)
            made = _write_blocks(jpeg, self._coded, self.frame, place / "made.jpg")
        return rename_components(made, [component.id for component in self.frame.components])

    def turn_back(self, upright: Image) -> Image:
        """Return *upright*, of any size, turned as the JPEG is stored."""
        turned = _TURNED_BACK.get(self._orientation)
        return upright if turned is None else upright.transpose(turned[0])

    def _exchange(self, jpeg: Any) -> None:
        planes = _planes(jpeg)
        for patch in self._patches:
            patch.put_into(planes[patch.component])
        self._patches.clear()

    def _cover(self, hole: Hole) -> Iterator[Box]:
        """Give boxes of whole units that hold all of *hole* that is not black, in the stored picture."""
        (across, down), (left, top, right, bottom) = self.frame.unit, self._stored_box(hole.box)
        left, right = left // across * across, -(-right // across) * across
        for at in range(top // down * down, bottom, _STRIP * down):
            yield left, at, right, min(at + _STRIP * down, -(-bottom // down) * down)

    def _stored_box(self, upright: Box) -> Box:
        """Return where *upright*, a box of the upright picture, is in the stored one."""
        if self._orientation not in _TURNED_BACK:
            return upright
        # A quarter turn is undone by the other one, all else by itself.
        _, place = _TURNED_BACK[{6: 8, 8: 6}.get(self._orientation, self._orientation)]
        width, height = self.frame.width, self.frame.height
        return place(upright, *((height, width) if self._orientation in range(5, 9) else (width, height)))

    def _stored(self, upright: Image | Hole, box: Box) -> Image:
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
        self._frame = frame
        self._box, (self._across, self._down) = box, frame.unit
        self._component = component
        self._shrink = frame.across // component.across, frame.down // component.down
        self._touched = touched
        self._samples = samples

    def encode(self, number: int, table: Sequence[int]) -> _Patch:
        """Return the blocks that are touched, quantised with *table*; *number*: of the component."""
        top = self._box[1] // self._down * self._component.down
        left = self._box[0] // self._across * self._component.across
        # The last units of the grid may reach beyond the blocks that are kept.
        rows, columns = self._frame.blocks(self._component)
        chosen = self._touched_blocks()[: rows - top, : columns - left]
        new = self._blocks()[: rows - top, : columns - left][chosen]
        cosines = _cosines()
        steps = np.asarray(table, np.float32).reshape(BLOCK, BLOCK)
        frequencies = cosines @ new @ cosines.T / steps
        return _Patch(
            number, (top, left), chosen, np.clip(np.rint(frequencies), -1023, 1023).astype(np.int16)
        )

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
    # All that is told of the picture is there: the file itself would be read once more for writing.
    jpeg.content = None
    for name in _PLANES:
        if (plane := getattr(jpeg, name)) is not None:
            setattr(jpeg, name, plane.view(_Shared))
    return jpeg


def _write_blocks(jpeg: Any, coded: Sequence[Segment], frame: Frame, path: Path) -> list[Segment]:
    """Return the segments of *jpeg*; *coded*: the original's, which are as good as any where cameras code."""
    if len(frame.components) == _WITH_BLACK:
        return _write_planes(jpeg, coded, frame, path)
    jpeg.write_dct(str(path), flags=[] if has_usual_codes(coded) else [_OPTIMISED])
    return [segment for segment in split_jpeg(path.read_bytes()) if not segment.is_about]


def _write_planes(jpeg: Any, coded: Sequence[Segment], frame: Frame, path: Path) -> list[Segment]:
    """The same with a scan for each component: jpeglib writes no fourth one along with the others."""
    import jpeglib

    made = [s for s in coded if s.marker == jpeg_segments.QUANTISATION]
    made += [s._replace(marker=_BASELINE) for s in coded if s.marker in jpeg_segments.FRAMES]
    for n, component in enumerate(frame.components):
        plane = jpeglib.from_dct(_planes(jpeg)[n], qt=jpeg.qt[:1])
        plane.width, plane.height = frame.samples(component)
        plane.write_dct(str(path), flags=[_OPTIMISED])
        for segment in split_jpeg(path.read_bytes()):
            if segment.marker == jpeg_segments.HUFFMAN:
                made.append(segment)
            elif segment.marker == jpeg_segments.SCAN:
                made.append(segment._replace(payload=bytes((1, n + 1)) + segment.payload[2:]))
    return made


def _planes(jpeg: Any) -> list[Coefficients]:
    return [plane for name in _PLANES if (plane := getattr(jpeg, name)) is not None]


class _Shared(np.ndarray[Any, Any]):
    """An array that is converted to what it is without a copy: jpeglib's would take as much room again."""

    def astype(self, dtype: Any, *_: Any, **__: Any) -> NDArray[Any]:
        """Return it as *dtype*."""
        return np.asarray(self).astype(dtype, copy=False)


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
