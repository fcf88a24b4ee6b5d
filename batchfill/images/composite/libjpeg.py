"""The coefficients of a JPEG: libjpeg reads and writes them, in files of a folder that goes afterwards."""

from __future__ import annotations

import os
import tempfile
from contextlib import contextmanager, redirect_stdout
from dataclasses import replace
from errno import ENOSPC
from pathlib import Path
from shutil import disk_usage
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from batchfill.images.composite.jpeg_frame import CannotExchange, resize_frame
from batchfill.images.rights import jpeg_segments
from batchfill.images.rights.jpeg_segments import Segment, split_jpeg

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from batchfill.domain.rows import Box
    from batchfill.images.composite.jpeg_frame import Frame

    Plane: TypeAlias = NDArray[np.int16]
    """Rows and columns of blocks of one component, and of their 8 x 8 coefficients."""

_ROOM = 4
"""How many times its original a JPEG may need on the disk while it is made."""
_PREFERRED = "turbo210"
"""Of the decoders that jpeglib brings along: what it lets pass is what Pillow's own lets pass."""
_WITH_BLACK = 4
"""Components of a JPEG of inks."""
_COLOURS = {1: "JCS_GRAYSCALE", 3: "JCS_YCbCr", _WITH_BLACK: "JCS_CMYK"}
"""What libjpeg takes components for whose names are 1, 2, 3, where nothing tells of colours."""
_PLANES = "Y", "Cb", "Cr", "K"
"""What jpeglib calls the components, whatever they are."""


class Coefficients:
    """The coefficients of a JPEG, in place of its pixels."""

    def __init__(self, jpeg: Any, frame: Frame) -> None:
        """*jpeg*: of jpeglib, with all its planes."""
        self._jpeg, self._frame = jpeg, frame

    @property
    def planes(self) -> list[Plane]:
        """Those of each component, to be changed in place."""
        return [plane for name in _PLANES if (plane := getattr(self._jpeg, name)) is not None]

    def crop(self, box: Box) -> Coefficients:
        """Return a copy of those of *box*: pixels, from the corner of a unit to another or to the edge."""
        left, top, right, bottom = box
        frame = replace(self._frame, width=right - left, height=bottom - top)
        across, down = frame.unit
        jpeg = _describe_jpeg(frame)
        jpeg.qt, jpeg.quant_tbl_no = self._jpeg.qt, self._jpeg.quant_tbl_no
        for name, plane, component in zip(_PLANES, self.planes, frame.components, strict=False):
            first, at = top // down * component.down, left // across * component.across
            rows, columns = frame.blocks(component)
            setattr(jpeg, name, np.ascontiguousarray(plane[first : first + rows, at : at + columns]))
        return Coefficients(jpeg, frame)

    def write(self, coded: Sequence[Segment], folder: Path, *, optimize: bool) -> list[Segment]:
        """Return the segments of a JPEG of them, but for those that tell of the picture.

        *coded*: the same of the original. *folder*: takes files meanwhile. *optimize*: whether it gets codes
        of its own instead of the usual ones. Raises CannotExchange.
        """
        with _silent_libjpeg(folder):
            if len(self._frame.components) == _WITH_BLACK:
                return self._write_planes(coded, folder / "made.jpg")
            return _write(self._jpeg, folder / "made.jpg", optimize=optimize)

    def _write_planes(self, coded: Sequence[Segment], path: Path) -> list[Segment]:
        """The same with a scan for each component: jpeglib writes no fourth one along with the others."""
        import jpeglib

        made = [s for s in coded if s.marker == jpeg_segments.QUANTISATION]
        made += [resize_frame(s, self._frame) for s in coded if s.marker in jpeg_segments.FRAMES]
        for n, component in enumerate(self._frame.components):
            plane = jpeglib.from_dct(self.planes[n], qt=self._jpeg.qt[:1])
            plane.width, plane.height = self._frame.samples(component)
            for segment in _write(plane, path, optimize=True):
                if segment.marker == jpeg_segments.HUFFMAN:
                    made.append(segment)
                elif segment.marker == jpeg_segments.SCAN:
                    made.append(segment._replace(payload=bytes((1, n + 1)) + segment.payload[2:]))
        return made


def read_coefficients(content: bytes, frame: Frame, folder: Path) -> Coefficients:
    """Return the coefficients of the JPEG in *content*, whose frame is known, and its components 1, 2, 3 …

    *folder*: takes files meanwhile. Raises CannotExchange when libjpeg finds it damaged.
    """
    import jpeglib

    versions = jpeglib.version.versions()
    jpeglib.version.set(_PREFERRED if _PREFERRED in versions else "6b")
    jpeg = _describe_jpeg(frame)
    jpeg.content = content
    with _silent_libjpeg(folder):
        jpeg.load()
    # All that is told of the picture is there: the file itself would be read once more for writing.
    jpeg.content = None
    for name in _PLANES:
        if (plane := getattr(jpeg, name)) is not None:
            setattr(jpeg, name, plane.view(_Shared))
    return Coefficients(jpeg, frame)


def _describe_jpeg(frame: Frame) -> Any:
    """Return a JPEG of jpeglib, without content. Its `read_dct` decodes all to learn what *frame* says."""
    import jpeglib

    return jpeglib.DCTJPEG(
        path=None,
        content=None,
        height=frame.height,
        width=frame.width,
        block_dims=np.array([frame.blocks(component) for component in frame.components], np.int32),
        samp_factor=np.array([(each.down, each.across) for each in frame.components], np.int32),
        markers=None,
        huffmans=None,
        jpeg_color_space=jpeglib.Colorspace[_COLOURS[len(frame.components)]],
        progressive_mode=False,
        num_scans=1,
        **dict.fromkeys([*_PLANES, "qt", "quant_tbl_no"]),
    )


@contextmanager
def folder_for_libjpeg(folder: Path, size: int) -> Iterator[Path]:
    """Give a folder in *folder* that goes afterwards.

    *size*: bytes of the JPEG. Raises OSError where there is no room, which libjpeg would end the process for.
    """
    if disk_usage(folder).free < _ROOM * size:
        raise OSError(ENOSPC, os.strerror(ENOSPC), str(folder))
    with tempfile.TemporaryDirectory(dir=folder, prefix="jpeg-") as name:
        yield Path(name)


def _write(jpeg: Any, path: Path, *, optimize: bool) -> list[Segment]:
    jpeg.write_dct(str(path), flags=["+OPTIMIZE_CODING"] if optimize else [])
    return [segment for segment in split_jpeg(path.read_bytes()) if not segment.is_about]


class _Shared(np.ndarray[Any, Any]):
    """An array that is converted to what it is without a copy: jpeglib's would take as much room again."""

    def astype(self, dtype: Any, *_: Any, **__: Any) -> NDArray[Any]:
        """Return it as *dtype*."""
        return np.asarray(self).astype(dtype, copy=False)


@contextmanager
def _silent_libjpeg(folder: Path) -> Iterator[None]:
    """Have jpeglib's own copies and what libjpeg prints in *folder*.

    Raises CannotExchange where it complained. Its C code writes to standard error, and only about damage.
    """
    kept, before, told = os.dup(2), tempfile.tempdir, folder / "told"
    try:
        tempfile.tempdir = str(folder)
        with told.open("wb") as file, redirect_stdout(None):
            os.dup2(file.fileno(), 2)
            yield
    except OSError as error:
        if error.errno is not None:
            raise
        # Not the system's: so jpeglib says that libjpeg gave up.
        raise CannotExchange("it is damaged in places") from error
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        tempfile.tempdir = before
    if told.stat().st_size:
        raise CannotExchange("it is damaged in places")
