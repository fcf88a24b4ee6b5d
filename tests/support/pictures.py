"""Pictures taken apart by hand.

A *chunk* is a part of a PNG. *Away* counts distances between pixels, the slow and certain way.
"""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def png_chunk(kind: bytes, content: bytes) -> bytes:
    """Return a chunk with its length and its checksum."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def away(marked: Any) -> NDArray[np.float64]:
    """Return how far each pixel is from the next that is *marked*, as the crow flies."""
    down, across = np.nonzero(marked)
    rows, columns = np.indices(marked.shape)
    squares = (rows[..., None] - down) ** 2 + (columns[..., None] - across) ** 2
    return np.asarray(np.sqrt(squares.min(axis=2)), np.float64)
