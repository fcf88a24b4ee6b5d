"""Masks without a file: the picture's own transparency, boxes and polygons, as a manifest writes them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from batchfill.errors import cut_short, quote_shortened

ALPHA = "alpha"
_JOINT = ";"

Point = tuple[float, float]
"""Across and down from the upper left corner of the upright picture, in pixels."""

_DRAWN = re.compile(r"\s*(?:alpha\s*$|(?:box|polygon)\s*:)", re.IGNORECASE)
_NUMBER = re.compile(r"[+-]?(?:\d{1,7}(?:\.\d{0,30})?|\.\d{1,30})", re.ASCII)
_COMMA = re.compile(r"\s*,\s*")
_PLACES = 6
"""Decimals of a pixel that count."""

_HOW = {
    "box": "box:LEFT,TOP,WIDTH,HEIGHT in pixels, such as box:40,30,200,120",
    "polygon": "polygon:X,Y X,Y X,Y in pixels, such as polygon:40,30 240,30 140,150",
}


@dataclass(frozen=True, slots=True)
class DrawnMask:
    """What a row fills of its picture, without a file that shows it."""

    text: str
    """In one way of writing it: equal masks have equal texts."""

    @property
    def name(self) -> str:
        """What messages call it."""
        if self.is_nothing:
            return "mask"
        return cut_short(self.text)

    @property
    def is_alpha(self) -> bool:
        """Whether the picture's own transparency is filled."""
        return self.text == ALPHA

    @property
    def is_nothing(self) -> bool:
        """Whether nothing of the picture is filled, but only what is new around it."""
        return not self.text

    @property
    def polygons(self) -> tuple[tuple[Point, ...], ...]:
        """The corners of each shape; a box has four. None where the transparency or nothing is filled."""
        # Read each time: checking keeps many masks, and corners take ten times the room of their text.
        return (
            ()
            if self.is_alpha or self.is_nothing
            else tuple(_read_shape(part)[1] for part in self.text.split(_JOINT))
        )

    def reaches_outside(self, width: int, height: int) -> bool:
        """Whether any of it lies outside of a picture of this size."""
        return any(
            left < 0 or top < 0 or right > width or bottom > height
            for left, top, right, bottom in map(_bounds_of, self.polygons)
        )

    def lies_outside(self, width: int, height: int) -> bool:
        """Whether all of it lies outside of a picture of this size."""
        return bool(self.polygons) and all(
            right <= 0 or bottom <= 0 or left >= width or top >= height
            for left, top, right, bottom in map(_bounds_of, self.polygons)
        )

    def outside_text(self, width: int, height: int) -> str:
        """Return why it cannot be drawn on a picture of this size, where nothing of it lies inside."""
        return f"{self.name} fills nothing of its picture, which is {width}x{height}"


NOTHING = DrawnMask("")
"""That of a row whose picture is enlarged, and that gives none."""


def _bounds_of(corners: tuple[Point, ...]) -> tuple[float, float, float, float]:
    """Return left, top, right and bottom."""
    across, down = zip(*corners, strict=True)
    return min(across), min(down), max(across), max(down)


def read_drawn_mask(text: str) -> DrawnMask | None:
    """Return the mask that *text* draws; None where it names a file.

    Raises ValueError, for a person, when it begins as one and is none.
    """
    if _DRAWN.match(text) is None:
        return None
    if text.strip().lower() == ALPHA:
        return DrawnMask(ALPHA)
    return DrawnMask(_JOINT.join(_read_shape(part.strip())[0] for part in text.split(_JOINT) if part.strip()))


def _read_shape(text: str) -> tuple[str, tuple[Point, ...]]:
    """Return one box or polygon, written in the one way, and its corners. Raises ValueError."""
    word, colon, numbers = (part.strip() for part in text.partition(":"))
    kind = word.lower()
    if not colon or kind not in _HOW:
        raise ValueError(f"only boxes and polygons are joined by a semicolon, not {quote_shortened(text)}")
    try:
        return _read_box(numbers) if kind == "box" else _read_polygon(numbers)
    except ValueError as error:
        raise ValueError(f"a {kind} is written {_HOW[kind]}; {quote_shortened(text)} {error}") from None


def _read_box(numbers: str) -> tuple[str, tuple[Point, ...]]:
    values = [_read_number(part) for part in numbers.split(",")]
    if len(values) != 4:
        raise ValueError(f"has {len(values)} numbers")
    left, top, width, height = values
    if width <= 0 or height <= 0:
        raise ValueError("is empty: width and height are above zero")
    right, bottom = left + width, top + height
    corners = ((left, top), (right, top), (right, bottom), (left, bottom))
    return f"box:{','.join(map(_write_number, values))}", corners


def _read_polygon(numbers: str) -> tuple[str, tuple[Point, ...]]:
    points = [_read_point(part) for part in _COMMA.sub(",", numbers).split()]
    if len(points) < 3:
        raise ValueError("has fewer than three points")
    text = " ".join(f"{_write_number(x)},{_write_number(y)}" for x, y in points)
    return f"polygon:{text}", tuple(points)


def _read_point(text: str) -> Point:
    values = [_read_number(part) for part in text.split(",")]
    if len(values) != 2:
        raise ValueError(f"has a point of {len(values)} numbers, {quote_shortened(text)}")
    return values[0], values[1]


def _read_number(text: str) -> float:
    if not _NUMBER.fullmatch(text.strip()):
        raise ValueError(f"has {quote_shortened(text.strip())} in the place of a number")
    return round(float(text), _PLACES)


def _write_number(value: float) -> str:
    return str(int(value)) if value.is_integer() else f"{value:.{_PLACES}f}".rstrip("0")
