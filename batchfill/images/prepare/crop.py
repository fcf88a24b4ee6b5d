"""Which part of a picture is sent, when it is what surrounds the mask."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from PIL.Image import Image

    from batchfill.catalog.pixel_options import Pixels
    from batchfill.catalog.sizes import Size, SizeRule
    from batchfill.domain.rows import Box, Input


def crop_box(
    picture: Size, hole: Image, pixels: Pixels, rule: SizeRule | None, inputs: Mapping[str, Input]
) -> Box | None:
    """Return the part of an upright *picture* that is sent; None: all of it, or nothing of it is filled.

    *hole* is as large as the picture. The part holds the mask's box and the padding around it. Where the
    model would enlarge that, more of the picture is taken in instead, which costs no detail; where the part
    can have sides that the model keeps, it has them, so that it is not scaled at all.
    """
    box = hole.getbbox() if pixels.area == "mask" else None
    if box is None:
        return None
    wanted = _pad_box(box, pixels, picture)
    size = _fit_to_rule(_size_of(wanted), picture, rule, inputs)
    (left, right), (top, bottom) = (
        _place_span(wanted[axis], wanted[axis + 2], size[axis], picture[axis]) for axis in (0, 1)
    )
    return None if (right - left, bottom - top) == picture else (left, top, right, bottom)


def _pad_box(box: Box, pixels: Pixels, picture: Size) -> Box:
    length, share = pixels.around
    left, top, right, bottom = box
    pad = length + round(share * max(right - left, bottom - top))
    return max(left - pad, 0), max(top - pad, 0), min(right + pad, picture[0]), min(bottom + pad, picture[1])


def _size_of(box: Box) -> Size:
    return box[2] - box[0], box[3] - box[1]


def _fit_to_rule(least: Size, picture: Size, rule: SizeRule | None, inputs: Mapping[str, Input]) -> Size:
    """Return the size of the part: one that the model keeps where there is one, never less than *least*."""
    if rule is None:
        return least
    made = rule.generated_size(*_limit_proportions(least, picture), inputs)
    wanted = max(least[0], made[0]), max(least[1], made[1])
    steps = [step * rule.multiple for step in range(3)]
    near = [_limit_size((wanted[0] + x, wanted[1] + y), picture) for x in steps for y in steps]
    kept = [size for size in (rule.fitting_size(*size, inputs) for size in near) if _can_hold(size, least)]
    fixed = [size for size in kept if rule.generated_size(*size, inputs) == size]
    return min(fixed, key=lambda size: _pixels_apart(size, wanted), default=_limit_size(wanted, picture))


def _limit_proportions(size: Size, picture: Size) -> Size:
    """Return *size* no longer than twice its width, or wider than twice its height: strips see too little."""
    width, height = size
    return _limit_size((max(width, height // 2), max(height, width // 2)), picture)


def _limit_size(size: Size, picture: Size) -> Size:
    return min(size[0], picture[0]), min(size[1], picture[1])


def _pixels_apart(one: Size, other: Size) -> int:
    return abs(one[0] - other[0]) + abs(one[1] - other[1])


def _can_hold(size: Size, least: Size) -> bool:
    return size[0] >= least[0] and size[1] >= least[1]


def _place_span(first: int, last: int, length: int, most: int) -> tuple[int, int]:
    """Return where *length* pixels around first … last begin and end, within 0 … *most*."""
    begin = min(max((first + last - length) // 2, 0), most - length)
    return begin, begin + length
