"""A mask judged by its values: which of them are meant as black and white, and which fill only in part."""

from __future__ import annotations

from functools import cached_property
from itertools import compress
from typing import TYPE_CHECKING, cast

from PIL import ImageChops, ImageFilter

from batchfill.images.codec.colors import DEEP, refuse_floats, to_16_bits, to_grey

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from PIL.Image import Image

NEARLY = 16
"""Greys this near to black or white are meant to be it: JPEG leaves such traces around every stroke."""

HALF = 128
"""The grey from which a pixel counts as filled."""

MOSTLY_GREY = 0.2
"""Share of the pixels that are neither nearly black nor nearly white, above which a mask is suspicious."""

_ALMOST = 2 * NEARLY
"""The darkest grey of a mask is meant as black, the lightest as white, this near to it: video has 16-235."""

_MOST_LABELS = 100
"""Values of a mask up to which they may be labels: edges and JPEG have more."""

_FLAT = 16
"""Pixels inside an area of one grey, from which on the area is none of an edge."""

_TRACES = 8
"""Greys by which JPEG leaves an area darker or lighter than it was."""

_NEAR, _AROUND, _SHARE = 4, 16, 0.75
"""An area's greys are that near to each other; edges have as many beyond, up to that far."""

_MARGIN = 3
"""Pixels of black around what is looked at, so that its edges are as they are in the whole."""

_WHITE_FROM = [255 * (value >= HALF) for value in range(256)]


class Greys:
    """An image of greys ("L"), and how many of its pixels have each: counted once, for all who ask.

    A mask may have many million pixels, most of them black, and to count them takes as long as to scale them.
    """

    def __init__(self, image: Image, counts: Sequence[int] | None = None) -> None:
        self.image = image
        if counts is not None:
            self.counts = counts

    @cached_property
    def counts(self) -> Sequence[int]:
        """How many pixels have each of the 256 greys."""
        box, pixels = self.image.getbbox(), self.image.width * self.image.height
        if box is None:
            return [pixels] + [0] * 255
        left, top, right, bottom = box
        around = pixels - (right - left) * (bottom - top)
        if around < pixels // 2:
            return self.image.histogram()
        counts = self.image.crop(box).histogram()
        counts[0] += around
        return counts

    @property
    def values(self) -> list[int]:
        """The greys that there are, the darkest first."""
        return list(compress(range(256), self.counts))

    @property
    def filled(self) -> int:
        """Pixels that count as filled."""
        return sum(self.counts[HALF:])

    @property
    def cover(self) -> float:
        """The share of the pixels that count as filled."""
        return self.filled / sum(self.counts)

    def map(self, table: Sequence[int]) -> Greys:
        """Return the greys that *table* has for each of these: these, where it has them as they are."""
        if all(table[value] == value for value in self.values):
            return self
        counts = [0] * 256
        for value in self.values:
            counts[table[value]] += self.counts[value]
        return Greys(self.image.point(list(table)), counts)

    def invert(self) -> Greys:
        """Return light for dark."""
        return self.map(_INVERTED)


_INVERTED = range(255, -1, -1)


def clean_values(drawn: Greys) -> Greys:
    """Return *drawn* with what is meant as black and as white made so; greys between stay."""
    low, high = drawn.values[0], drawn.values[-1]
    if low < HALF and high >= 256 - _ALMOST and len(drawn.values) == 2:
        return drawn.map(_WHITE_FROM)
    return drawn.map(_stretching(low if low < _ALMOST else 0, high if high >= 256 - _ALMOST else 255))


def stretch_values(drawn: Greys) -> Greys:
    """Return *drawn* with its dark areas black and its light ones white, however grey they are."""
    low, high = drawn.values[0], drawn.values[-1]
    if len(drawn.values) > 2:
        if high - low < _ALMOST:
            return clean_values(drawn)
        counts, middle = drawn.counts, (low + high) // 2
        dark, light = _level_of(counts, low, middle, low), _level_of(counts, middle + 1, high, high)
        # Of a dark mask the traces of JPEG would be stretched to greys that count.
        return drawn.map(_stretching(dark + _TRACES, light - _TRACES))
    return drawn.map(_stretching(low, high))


def pick_foreground(drawn: Greys) -> Greys:
    """Return white where *drawn* is most likely meant to be filled.

    Labels are filled that are not the background: the value of most pixels, else black, where it is there.
    Of anything else the rarer of light and dark is filled.
    """
    counts = drawn.counts
    if _are_labels(drawn):
        most = max(range(256), key=counts.__getitem__)
        background = most if 2 * counts[most] > sum(counts) or not counts[0] else 0
        return drawn.map(_white_where(lambda value: value != background))
    stretched = stretch_values(drawn)
    return stretched if 2 * stretched.filled <= sum(counts) else stretched.invert()


def read_nonzero(mask: Image, name: str) -> Image:
    """Return white where *mask* is not black, however dark, and can be seen. Raises BadPicture."""
    refuse_floats(mask, name)
    if mask.mode in DEEP:
        # Labels of 16 bits are small numbers, which are black as greys.
        return to_16_bits(mask, name).convert("I").point(lambda value: value * 255).convert("L")
    red, green, blue, alpha = mask.convert("RGBA").split()
    brightest = ImageChops.lighter(ImageChops.lighter(red, green), blue)
    return ImageChops.darker(brightest, alpha).point([0] + [255] * 255)


def read_labels(mask: Image, name: str) -> Image:
    """Return *mask* as 8-bit grey; numbers of 16 bits that are small, as labels are, as they are."""
    if mask.mode in DEEP:
        wide = to_16_bits(mask, name)
        if cast("tuple[int, int]", wide.getextrema())[1] < 256:
            return wide.convert("I").convert("L")
    return to_grey(mask, name)


def find_partial(hole: Greys) -> int | None:
    """Return a grey of *hole* (white is filled) that is meant to be filled or kept, and is neither.

    None: greys lie along edges only, or fade, or there are as many as in a photograph. A grey is meant where
    an area has it all over, and where nothing is lighter.
    """
    counts = hole.counts
    greys = sum(counts[NEARLY : 256 - NEARLY])
    if not greys:
        return None
    peaks = _peaks_of(counts)
    if any(counts[256 - NEARLY :]):
        part = crop_filled(hole.image, _MARGIN)
        return next((grey for grey in peaks if _fills_area(part, grey)), None)
    if peaks or greys > MOSTLY_GREY * sum(counts):
        return peaks[0] if peaks else None
    return hole.values[-1]


def is_mostly_grey(hole: Greys) -> bool:
    """Whether most of *hole* is neither nearly black nor nearly white, as no fading border makes it."""
    counts = hole.counts
    return 2 * sum(counts[NEARLY : 256 - NEARLY]) > sum(counts)


def crop_filled(hole: Image, margin: int) -> Image:
    """Return all of *hole* that is not black, with *margin* pixels around it, as far as there are any."""
    left, top, right, bottom = hole.getbbox() or (0, 0, 1, 1)
    first, last = (max(left - margin, 0), max(top - margin, 0)), (right + margin, bottom + margin)
    return hole.crop((*first, min(last[0], hole.width), min(last[1], hole.height)))


def _level_of(counts: Sequence[int], first: int, last: int, otherwise: int) -> int:
    """Return the grey of most pixels from *first* to *last*; *otherwise* where they have no such grey.

    JPEG leaves a few that are darker and lighter than any area.
    """
    grey = max(range(first, last + 1), key=counts.__getitem__)
    near = sum(counts[max(grey - _NEAR, first) : min(grey + _NEAR, last) + 1])
    return grey if 2 * near >= sum(counts[first : last + 1]) else otherwise


def _peaks_of(counts: Sequence[int]) -> list[int]:
    """Return greys that many pixels have, and few have greys near to them; the most frequent first."""

    def around(grey: int, reach: int) -> int:
        return sum(counts[max(grey - reach, NEARLY) : min(grey + reach + 1, 256 - NEARLY)])

    greys = range(NEARLY, 256 - NEARLY)
    found = [g for g in greys if counts[g] >= _FLAT and around(g, _NEAR) >= _SHARE * around(g, _AROUND)]
    return sorted(found, key=lambda grey: -counts[grey])[:8]


def _fills_area(hole: Image, grey: int) -> bool:
    """Whether *grey* lies next to itself on all sides somewhere, or away from white, as no edge does."""
    marked = hole.point(_white_where(lambda value: abs(value - grey) <= _NEAR))
    if _count_white(marked.filter(ImageFilter.MinFilter(3))) >= _FLAT:
        return True
    near_white = hole.point(_white_where(lambda value: value > 255 - NEARLY)).filter(ImageFilter.MaxFilter(5))
    away = _count_white(ImageChops.subtract(marked, near_white))
    return away >= _FLAT and 2 * away > _count_white(marked)


def _are_labels(drawn: Greys) -> bool:
    """Whether *drawn* has few values, and more than the two most frequent ones fill areas."""
    values = sorted(drawn.values, key=lambda value: -drawn.counts[value])
    if not 2 < len(values) <= _MOST_LABELS:
        return False
    others = drawn.image.point(_white_where(lambda value: value in values[2:]))
    flat = _flat_of(drawn.image)
    return 2 * _count_white(ImageChops.darker(others, flat)) > sum(
        drawn.counts[value] for value in values[2:]
    )


def _flat_of(drawn: Image) -> Image:
    """Return white where a pixel is as the one to its right, and as the one below."""
    right, below = (ImageChops.offset(drawn, *shift) for shift in ((-1, 0), (0, -1)))
    apart = ImageChops.lighter(ImageChops.difference(drawn, right), ImageChops.difference(drawn, below))
    return apart.point([255] + [0] * 255)


def _stretching(low: int, high: int) -> list[int]:
    """Return the table that makes *low* black and *high* white, and what is near to them too."""
    spread = [min(max((value - low) * 255 // max(high - low, 1), 0), 255) for value in range(256)]
    return [0 if v < NEARLY else 255 if v > 255 - NEARLY else v for v in spread]


def _white_where(is_white: Callable[[int], bool]) -> list[int]:
    """Return the table that makes white what *is_white*, and black all else."""
    return [255 * is_white(value) for value in range(256)]


def _count_white(marked: Image) -> int:
    return marked.histogram()[255]
