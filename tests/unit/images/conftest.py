"""Pictures and masks made on the spot."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def _photo(width: int = 96, height: int = 64) -> Image.Image:
    """Smooth colours with noise on top, different in every corner."""
    across = np.linspace(0, 200, width)[None, :].repeat(height, axis=0)
    down = np.linspace(0, 200, height)[:, None].repeat(width, axis=1)
    pixels = np.stack([across, down, 200 - across / 2 - down / 2], axis=-1)
    noise = np.random.default_rng(1).integers(0, 40, pixels.shape)
    return Image.fromarray((pixels + noise).astype(np.uint8))


def _mask(width: int = 96, height: int = 64) -> Image.Image:
    """A white box in the middle third of black."""
    image = Image.new("L", (width, height), 0)
    ImageDraw.Draw(image).rectangle((width // 3, height // 3, 2 * width // 3, 2 * height // 3), fill=255)
    return image


@pytest.fixture
def photo() -> Image.Image:
    return _photo()


@pytest.fixture
def mask() -> Image.Image:
    return _mask()


@pytest.fixture
def encode() -> Callable[..., bytes]:
    """Return the bytes of a picture in a format, PNG unless told."""

    def write(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
        target = io.BytesIO()
        image.save(target, kind, **options)
        return target.getvalue()

    return write


@pytest.fixture
def turned() -> Image.Exif:
    """EXIF that says: turn me by 90 degrees."""
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif


@pytest.fixture
def save(tmp_path: Path) -> Callable[..., Path]:
    """Write a picture to a file of the test's folder."""

    def write(image: Image.Image, name: str, **options: Any) -> Path:
        path = tmp_path / name
        image.save(path, **options)
        return path

    return write
