"""What a mask fills, judged: does it look meant, is there enough of it, how hard are its edges."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from PIL import ImageChops

from batchfill.domain.findings import Finding, FindingKind, Severity
from batchfill.images.prepare.mask import scale_mask
from batchfill.images.prepare.mask_values import MOSTLY_GREY, NEARLY, Greys, crop_filled

if TYPE_CHECKING:
    from collections.abc import Iterator

    from PIL.Image import Image

    from batchfill.catalog.sizes import Size

MUCH = 0.5
"""Share that is filled above which black and white may have been mistaken for each other."""

SPECKS = 64
"""Pixels at the size at which the model works: with fewer filled it has next to nothing to do."""

SOFT = 4.0
"""Pixels of grey along an edge, above which it is soft: smoothing takes two, JPEG some more."""

_FULL = [255 * (grey >= 128) for grey in range(256)]
_FILLS = {"white": "white", "alpha": "transparent"}


class Strokes(NamedTuple):
    """A mask at its own size, white where to fill, and what its messages need."""

    hole: Greys
    name: str
    source: str
    """Its mask_from."""
    fitted: bool
    """Whether pixel settings can change it."""


def find_suspicions(strokes: Strokes) -> Iterator[Finding]:
    """Say what looks wrong with the mask by itself."""
    counts = strokes.hole.counts
    total, name = sum(counts), strokes.name
    if strokes.hole.cover > MUCH and strokes.source in _FILLS:
        yield Finding(FindingKind.POLARITY, Severity.WARNING, _inverted_hint(strokes))
    if sum(counts[32:224]) > MOSTLY_GREY * total:
        text = f"{name} is largely grey, and grey is filled in part: is it a mask?"
        yield Finding(FindingKind.GREY, Severity.WARNING, text)
    elif (width := _edge_width(strokes.hole)) > SOFT:
        text = f"{name} has soft edges, some {width:.0f} pixels wide, which are filled in part"
        hint = ": draw them hard, and leave blending to mask_feather" if strokes.fitted else ""
        yield Finding(FindingKind.SOFT, Severity.NOTE, text + hint)


def find_specks(hole: Image, worked: Size | None, strokes: Strokes) -> Iterator[Finding]:
    """Say so when next to nothing is left of *hole* at the size *worked*, where it is known."""
    small = hole if worked is None else scale_mask(hole, worked)
    left = Greys(small).filled
    if left < SPECKS:
        where = "" if worked is None else f" at {worked[0]}x{worked[1]}, where the model works"
        text = f"{strokes.name} fills a few specks only, {left} pixels{where}: is it the right mask?"
        hint = " mask_grow makes them larger" if strokes.fitted else ""
        yield Finding(FindingKind.SPECKS, Severity.WARNING, text + hint)


def _inverted_hint(strokes: Strokes) -> str:
    fills, cover = _FILLS[strokes.source], strokes.hole.cover
    text = f"{strokes.name} is {cover:.0%} {fills}, and {fills} is what gets filled: is it inverted?"
    if not strokes.fitted:
        return text
    return f"{text} If so, set mask_from: {'black' if strokes.source == 'white' else 'auto'}"


def _edge_width(hole: Greys) -> float:
    """Return how many pixels of grey there are for each pixel of border between black and white."""
    greys = sum(hole.counts[NEARLY : 256 - NEARLY])
    if not greys:
        return 0.0
    core = crop_filled(hole.image, 1).point(_FULL)
    return greys / max(_count_changes(core), 1)


def _count_changes(core: Image) -> int:
    """Return how often black and white lie side by side, or one above the other."""
    width, height = core.size
    pairs = (
        ((1, 0, width, height), (0, 0, width - 1, height)),
        ((0, 1, width, height), (0, 0, width, height - 1)),
    )
    return sum(
        ImageChops.difference(core.crop(one), core.crop(other)).histogram()[255]
        for one, other in pairs
        if one[2] > one[0] and one[3] > one[1]
    )
