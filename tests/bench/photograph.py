"""A photograph as large as a camera's, made of the small ones in the repository."""

from __future__ import annotations

from itertools import cycle
from pathlib import Path

from PIL import Image, ImageDraw, ImageOps

PHOTOGRAPHS = Path(__file__).parents[2] / "jobs" / "photographs"
NAMES = ("astronaut.jpg", "coffee.jpg", "cat.png", "rocket.jpg")
ROW = 300
"""Pixels from one row of photographs to the next, none of which is lower."""


def mosaic(width: int, height: int) -> Image.Image:
    """Return the photographs of the repository side by side at their own resolution, every third mirrored.

    Nothing is scaled, so that the finest detail is what cameras saw.
    """
    whole = Image.new("RGB", (width, height))
    tiles = cycle(_tiles())
    for top in range(0, height, ROW):
        left = 0
        while left < width:
            tile = next(tiles)
            whole.paste(tile, (left, top))
            left += tile.width
    return whole


def _tiles() -> list[Image.Image]:
    found = []
    for number in range(3 * len(NAMES)):
        with Image.open(PHOTOGRAPHS / NAMES[number % len(NAMES)]) as image:
            found.append(ImageOps.mirror(image) if number % 3 == 0 else image.convert("RGB"))
    return found


def strokes(width: int, height: int) -> Image.Image:
    """Return a mask of three crossing strokes, as a brush paints over wires."""
    mask = Image.new("L", (width, height))
    draw = ImageDraw.Draw(mask)
    across = [(0.1, 0.2, 0.9, 0.35), (0.15, 0.8, 0.85, 0.3), (0.45, 0.1, 0.6, 0.9)]
    for left, top, right, bottom in across:
        ends = (left * width, top * height, right * width, bottom * height)
        draw.line(ends, fill=255, width=max(1, width // 100))
    return mask


def ellipse(width: int, height: int, share: float) -> Image.Image:
    """Return a mask: white in an ellipse as high and wide as a *share* of the picture, in its middle."""
    across, down = width * share / 2, height * share / 2
    mask = Image.new("L", (width, height))
    middle = width / 2, height / 2
    box = (middle[0] - across, middle[1] - down, middle[0] + across, middle[1] + down)
    ImageDraw.Draw(mask).ellipse(box, fill=255)
    return mask
