"""What the sizes of a picture say: strips, and large pictures that lose their detail."""

from __future__ import annotations

from typing import TYPE_CHECKING

from batchfill.domain.findings import Finding, FindingKind, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from batchfill.catalog.sizes import Size
    from batchfill.domain.findings import Sizes

STRIP = 4
"""Sides of what is sent beyond which models make little of it, as one to the other."""

LOST = 0.7
"""Share of its sides to which a picture is scaled down, below which its detail is worth a word."""

GAINED = 1.5
"""How many times more of its detail the part around the mask has to keep, for that to be worth it."""


def find_strips(scale: Sizes, name: str) -> Iterator[Finding]:
    """Say so when what is sent is a strip, and what size the model makes of it."""
    width, height = scale.area or scale.canvas or scale.picture
    long, short = max(width, height), min(width, height)
    if long <= STRIP * short:
        return
    whole = (width, height) == scale.picture
    what = f"{name} is {width}x{height}" if whole else f"what is sent of {name} is {width}x{height}"
    made = "" if scale.generated is None else f", and the model makes {_size_text(scale.generated)} of it"
    way_out = "cut it, or use area: mask" if scale.canvas is None else "enlarge it by less"
    text = f"{what}, a strip beyond {STRIP}:1{made}: models do badly with those; {way_out}"
    yield Finding(FindingKind.STRIP, Severity.WARNING, text)


def find_detail(whole: Sizes, part: Sizes | None, name: str) -> Iterator[Finding]:
    """Say so when sending the part around the mask keeps detail that a large picture loses.

    *part*: the sizes with `area: mask`; None: all of the picture is that part.
    """
    if part is None or part.area is None or whole.generated is None or part.generated is None:
        return
    now, then = _share(whole.picture, whole.generated), _share(part.area, part.generated)
    if now < LOST and then > GAINED * now:
        text = f"{name} is scaled from {_size_text(whole.picture)} to {_size_text(whole.generated)}"
        text += f": with area: mask the {_size_text(part.area)} around its mask would keep more of its detail"
        yield Finding(FindingKind.DETAIL, Severity.NOTE, text)


def _share(own: Size, made: Size) -> float:
    """Return the share of its sides at which a picture is made, 1 where it is not scaled down."""
    return float(min(((made[0] * made[1]) / (own[0] * own[1])) ** 0.5, 1))


def _size_text(size: Size) -> str:
    return f"{size[0]}x{size[1]}"
