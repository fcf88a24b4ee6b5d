"""Larger pictures: by how much a canvas grows around its picture, as a manifest writes it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from math import floor
from typing import NamedTuple

from batchfill.errors import quote_shortened

ANCHORS = ("center", "left", "right", "top", "bottom")
"""Where the picture lies in the shape that `aspect` makes; across the other direction it is in the middle."""

_SIDES = ("left", "top", "right", "bottom")
_HOW = "expand is written 20%, 256 (pixels), or left=256 right=25% with any of left, top, right and bottom"
_AMOUNT = re.compile(r"(?:(\d{1,6}) ?(?:px)?|(\d{1,4}(?:\.\d{1,3})?) ?%)", re.ASCII | re.IGNORECASE)
_SIDE = re.compile(r"([a-z]+)\s*[=:]\s*([\d.]+ ?(?:%|px)?)\s*(?:[,;]|\s|$)\s*", re.ASCII | re.IGNORECASE)
_PART = r"(\d{1,5}(?:\.\d{1,3})?)"
# Spreadsheets take 16:9 for a time, and write 16:09 or 16:09:00.
_ASPECT = re.compile(rf"{_PART}\s*[:/xX\u00d7]\s*{_PART}(?::00)?", re.ASCII)


class Enlarged(NamedTuple):
    """A canvas, and where its picture lies on it; in pixels, upright."""

    size: tuple[int, int]
    """Width and height of the canvas."""
    box: tuple[int, int, int, int]
    """Left, top, right and bottom of the picture."""

    @property
    def is_larger(self) -> bool:
        """Whether anything of the canvas is new."""
        return self.size != (self.box[2] - self.box[0], self.box[3] - self.box[1])


@dataclass(frozen=True, slots=True)
class Enlargement:
    """What `expand`, `aspect` and `anchor` ask for, each in the one way of writing it; empty for nothing."""

    expand: str = ""
    aspect: str = ""
    anchor: str = ANCHORS[0]

    def place(self, width: int, height: int) -> Enlarged:
        """Return the canvas of a picture of this size: expanded, then of the shape."""
        left, top, right, bottom = self._sides(width, height)
        wide, high = left + width + right, top + height + bottom
        across, down = self._shaped(wide, high)
        left += _space_before(across - wide, self.anchor, "left", "right")
        top += _space_before(down - high, self.anchor, "top", "bottom")
        return Enlarged((across, down), (left, top, left + width, top + height))

    def __str__(self) -> str:
        """Return it as a manifest says it: `expand: 20%, aspect: 16:9`."""
        named = (("expand", self.expand), ("aspect", self.aspect))
        return ", ".join(f"{name}: {text}" for name, text in named if text)

    def _sides(self, width: int, height: int) -> tuple[int, ...]:
        """Return the new pixels on each side, the left one first, clockwise."""
        if not self.expand:
            return 0, 0, 0, 0
        found = _read_sides(self.expand)
        own = (width, height, width, height)
        return tuple(
            _pixels_of(found.get(side, "0"), length) for side, length in zip(_SIDES, own, strict=True)
        )

    def _shaped(self, width: int, height: int) -> tuple[int, int]:
        """Return the smallest canvas of the shape around one of this size.

        One side is that of the canvas, the other one is rounded up; a canvas that is so already stays.
        """
        if not self.aspect:
            return width, height
        across, down = map(int, self.aspect.split(":"))
        high, wide = -(-width * down // across), -(-height * across // down)
        if high == height or wide == width:
            return width, height
        return (width, high) if high > height else (wide, height)


def read_expand(text: str) -> str:
    """Return *text* in the one way of writing it. Raises ValueError, for a person."""
    sides = {side: amount for side, amount in _read_sides(text).items() if amount.rstrip("%") != "0"}
    if not sides:
        return "0"
    if len(sides) == len(_SIDES) and len(set(sides.values())) == 1:
        return sides[_SIDES[0]]
    return " ".join(f"{side}={sides[side]}" for side in _SIDES if side in sides)


def read_aspect(text: str) -> str:
    """Return *text* in the one way of writing it: two whole numbers. Raises ValueError, for a person."""
    match = _ASPECT.fullmatch(text.strip())
    parts = [Fraction(part) for part in match.groups()] if match else []
    if not parts or not all(parts):
        raise ValueError(f"aspect must be width:height such as 16:9, not {quote_shortened(text.strip())}")
    ratio = parts[0] / parts[1]
    return f"{ratio.numerator}:{ratio.denominator}"


def _read_sides(text: str) -> dict[str, str]:
    """Return the amount of each side that *text* names, in the one way of writing it. Raises ValueError."""
    words = text.strip()
    if _AMOUNT.fullmatch(words):
        return dict.fromkeys(_SIDES, _read_amount(words, text))
    found: dict[str, str] = {}
    at = 0
    for match in _SIDE.finditer(words):
        side = match[1].lower()
        if match.start() != at or side not in _SIDES or side in found:
            break
        found[side] = _read_amount(match[2].strip(), text)
        at = match.end()
    if not found or at != len(words):
        raise ValueError(f"{_HOW}; not {quote_shortened(words)}")
    return found


def _read_amount(words: str, text: str) -> str:
    match = _AMOUNT.fullmatch(words)
    if match is None:
        raise ValueError(f"{_HOW}; not {quote_shortened(text.strip())}")
    if match[1] is not None:
        return str(int(match[1]))
    share = Fraction(match[2])
    return f"{float(share):g}%" if share.denominator != 1 else f"{share.numerator}%"


def _pixels_of(amount: str, length: int) -> int:
    """Return how many pixels an *amount* is of a side of so many; halves are rounded up."""
    if not amount.endswith("%"):
        return int(amount)
    return floor(Fraction(amount[:-1]) * length / 100 + Fraction(1, 2))


def _space_before(space: int, anchor: str, first: str, last: str) -> int:
    """Return how much of *space* lies before the picture."""
    return 0 if anchor == first else space if anchor == last else space // 2
