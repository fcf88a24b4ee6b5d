"""The one picture that all predictions give."""

from __future__ import annotations

import io
from math import isqrt
from random import Random
from typing import NamedTuple

from PIL import Image


class Output(NamedTuple):
    """An encoded picture."""

    suffix: str
    content: bytes

    @property
    def kind(self) -> str:
        """Its media type."""
        return f"image/{self.suffix}"


def make_output(size: int) -> Output:
    """Return a PNG of noise of about *size* bytes; for 0 a WebP of one pixel."""
    suffix, side = ("png", isqrt(size // 3)) if size else ("webp", 1)
    pixels = Random(1).randbytes(3 * side * side)
    stream = io.BytesIO()
    Image.frombytes("RGB", (side, side), pixels).save(stream, suffix)
    return Output(suffix, stream.getvalue())
