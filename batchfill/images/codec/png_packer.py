"""Writing PNG quickly: strips of pixels, each row filtered by the one above it, packed by isal."""

from __future__ import annotations

import struct
import zlib
from importlib.util import find_spec
from typing import IO, TYPE_CHECKING, Any, NamedTuple

import numpy as np

from batchfill.images.codec.png_chunks import SIGNATURE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from types import ModuleType

    from numpy.typing import NDArray
    from PIL.Image import Image

    from batchfill.catalog.sizes import Size

    Strip = NDArray[Any]

STRIP = 64
"""Rows that are packed together: few enough to stay in a core's cache."""

_UP = 2
"""The filter: each byte less the one above it. Photographs get as small by it as by a choice for each row."""
_LEVEL = 1
"""More takes longer and gains less than a hundredth, with isal as with zlib."""


class _Mode(NamedTuple):
    """How PNG holds a mode of Pillow's."""

    depth: int
    """Bits a channel."""
    colours: int
    """PNG's number of the kind of colours."""
    channels: int


_MODES = {
    "L": _Mode(8, 0, 1),
    "P": _Mode(8, 3, 1),
    "LA": _Mode(8, 4, 2),
    "RGB": _Mode(8, 2, 3),
    "RGBA": _Mode(8, 6, 4),
    "I;16": _Mode(16, 0, 1),
}
MODES = frozenset(_MODES)
"""The modes that are written here. A palette is a chunk, `PLTE`, that the caller gives."""


def write_png(
    file: IO[bytes],
    size: Size,
    mode: str,
    strips: Iterable[Strip],
    *,
    chunks: Sequence[tuple[bytes, bytes]] = (),
) -> None:
    """Write a PNG of *size* (width, height) to *file*, from its first byte to its last.

    *mode*: one of MODES.
    *strips*: the rows from the top, some at a time: whole numbers of 8 bits, of 16 for `I;16` (in either
    order of bytes), of shape (rows, width, channels), or (rows, width) where there is one channel.
    *chunks*: kind and content of what stands before the pixels, in this order: `iCCP` before `PLTE`.

    Raises ValueError when the strips are not *size* and *mode*, OSError when *file* does not take it.
    """
    file.write(SIGNATURE)
    held = _MODES[mode]
    _write_chunk(file, b"IHDR", struct.pack(">IIBBBBB", *size, held.depth, held.colours, 0, 0, 0))
    for kind, content in chunks:
        _write_chunk(file, kind, content)
    packer = _find_packing().compressobj(_LEVEL)
    for rows in _filter_rows(strips, size, held):
        if packed := packer.compress(rows):
            _write_chunk(file, b"IDAT", packed)
    _write_chunk(file, b"IDAT", packer.flush())
    _write_chunk(file, b"IEND", b"")


def image_strips(image: Image) -> Iterator[Strip]:
    """Give the pixels of *image*, of one of MODES, strip by strip, without a copy of the whole."""
    for top in range(0, image.height, STRIP):
        yield np.asarray(image.crop((0, top, image.width, min(top + STRIP, image.height))))


def profile_chunks(profile: bytes | None) -> list[tuple[bytes, bytes]]:
    """Return the chunk that holds a colour profile; none where there is none."""
    return [(b"iCCP", b"ICC Profile\0\0" + zlib.compress(profile))] if profile else []


def _find_packing() -> ModuleType:
    """Return isal; zlib, which takes five times as long, on machines for which isal has no wheel."""
    if find_spec("isal") is None:
        return zlib
    from isal import isal_zlib

    return isal_zlib


def _filter_rows(strips: Iterable[Strip], size: Size, held: _Mode) -> Iterator[bytes | memoryview]:
    """Give the filtered bytes of STRIP rows at a time. Raises ValueError when they are not what was said."""
    width, height = size
    above = np.zeros(width * held.channels * held.depth // 8, np.uint8)
    seen = 0
    for strip in strips:
        seen += len(strip)
        rows = _bytes_of(strip, width, held)
        for top in range(0, len(rows), STRIP):
            part = rows[top : top + STRIP]
            yield _filter_up(part, above).data
            above = part[-1]
    if seen != height:
        raise ValueError(f"{seen} rows of a picture of {height}")


def _bytes_of(strip: Strip, width: int, held: _Mode) -> NDArray[np.uint8]:
    """Return the bytes of *strip* as PNG orders them, a row for each of its rows."""
    whole = np.dtype(np.uint8 if held.depth == 8 else ">u2")
    fits = strip.dtype.newbyteorder(">") == whole and strip[0].size == width * held.channels
    if not fits:
        raise ValueError(f"{strip.dtype} of shape {strip.shape} for {width} pixels of {held}")
    return np.ascontiguousarray(strip, whole).reshape(len(strip), -1).view(np.uint8)


def _filter_up(rows: NDArray[np.uint8], above: NDArray[np.uint8]) -> NDArray[np.uint8]:
    filtered = np.empty((rows.shape[0], 1 + rows.shape[1]), np.uint8)
    filtered[:, 0] = _UP
    np.subtract(rows[0], above, out=filtered[0, 1:])
    np.subtract(rows[1:], rows[:-1], out=filtered[1:, 1:])
    return filtered


def _write_chunk(file: IO[bytes], kind: bytes, content: bytes) -> None:
    file.write(struct.pack(">I", len(content)) + kind)
    file.write(content)
    file.write(struct.pack(">I", zlib.crc32(content, zlib.crc32(kind))))
