"""A picture on a larger canvas: its size, what is filled of it, and what lies there until it is filled."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING

from PIL import Image, ImageChops, ImageFilter
from PIL.Image import Resampling

from batchfill.errors import BadPicture
from batchfill.images.codec.open import MAX_PIXELS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from batchfill.catalog.pixel_options import Pixels
    from batchfill.catalog.sizes import Size
    from batchfill.domain.enlargement import Enlarged
    from batchfill.domain.rows import Box

_SMOOTHER = 48
"""Share of a canvas's longer side over which what continues a picture loses its detail, as 1 to this."""
_KEPT_DETAIL = 3
"""Times the size it is needed at to which a picture is averaged before it is scaled finely."""


def place_canvas(pixels: Pixels, size: Size, *, has_mask: bool) -> Enlarged | None:
    """Return the canvas of an upright picture of *size*; None: the picture is not to be enlarged.

    Raises BadPicture, for a person: the canvas is too large, or is no larger and no mask fills anything else.
    """
    asked = pixels.enlargement
    if asked is None:
        return None
    placed = asked.place(*size)
    (width, height), own = placed.size, f"{size[0]}x{size[1]}"
    if width * height > MAX_PIXELS:
        what = f"{asked} makes {width}x{height} of {own}"
        raise BadPicture(f"{what}, more than {MAX_PIXELS // 1_000_000} megapixels: enlarge it by less")
    if not placed.is_larger and not has_mask:
        what = f"{asked} adds nothing to {own}"
        text = f"nothing to fill: {what}, and there is no mask: give a mask, or remove the row"
        raise BadPicture(text, kind="empty")
    return placed


def widen_mask(hole: Image.Image, placed: Enlarged) -> Image.Image:
    """Return *hole*, that of the picture alone, as that of the canvas, white where it is new."""
    whole = Image.new("L", placed.size, 255)
    whole.paste(hole, placed.box)
    return whole


def continue_edges(picture: Image.Image, size: Size, corner: Size) -> Image.Image:
    """Return a canvas of *size* with *picture* at *corner*; its outermost pixels go on to the edges."""
    (width, height), (left, top) = picture.size, corner
    right, bottom = left + width, top + height
    whole = Image.new(picture.mode, size)
    whole.paste(picture, corner)
    for line, target in (
        ((left, top, left + 1, bottom), (0, top, left, bottom)),
        ((right - 1, top, right, bottom), (right, top, size[0], bottom)),
        # All the way across, so that the corners are continued, too.
        ((0, top, size[0], top + 1), (0, 0, size[0], top)),
        ((0, bottom - 1, size[0], bottom), (0, bottom, size[0], size[1])),
    ):
        across, down = target[2] - target[0], target[3] - target[1]
        if across and down:
            whole.paste(whole.crop(line).resize((across, down), Resampling.NEAREST), target)
    return whole


def fit_canvas(picture: Image.Image, own: Size, placed: Enlarged, size: Size) -> Image.Image:
    """Return the canvas of *picture* at *size*, as a model is sent it. *picture* is *own* at any scale.

    What is new continues the picture: its outermost pixels, with less detail the farther they are from it. So
    there is no edge that a model could take for one of the picture, no grey that it could keep, and nothing
    that it could repeat, as there would be in a mirror image.
    """
    across, down = size[0] / placed.size[0], size[1] / placed.size[1]
    spare = min(picture.width / (own[0] * across), picture.height / (own[1] * down)) / _KEPT_DETAIL
    if spare >= 2:
        picture = picture.reduce(int(spare))
    canvas, part = _scaled_canvas(picture, own, placed)
    fitted = canvas.resize(size, Resampling.LANCZOS, part)
    return _soften_new(fitted, _scale_box(placed.box, across, down))


def _scaled_canvas(
    picture: Image.Image, own: Size, placed: Enlarged
) -> tuple[Image.Image, tuple[float, float, float, float]]:
    """Return the canvas at the scale of *picture*, and what part of it is the canvas: not in whole pixels."""
    (width, height), (left, top, right, bottom) = placed.size, placed.box
    across, down = picture.width / own[0], picture.height / own[1]
    before = left * across, top * down
    after = (width - right) * across, (height - bottom) * down
    corner = ceil(before[0]), ceil(before[1])
    whole = corner[0] + picture.width + ceil(after[0]), corner[1] + picture.height + ceil(after[1])
    part = (
        corner[0] - before[0],
        corner[1] - before[1],
        corner[0] + picture.width + after[0],
        corner[1] + picture.height + after[1],
    )
    return continue_edges(picture, whole, corner), part


def _soften_new(canvas: Image.Image, kept: Box) -> Image.Image:
    """Return *canvas* with ever less detail outside of *kept*, which stays as it is."""
    reach = max(max(canvas.size) // _SMOOTHER, 1)
    new = Image.new("L", canvas.size, 255)
    new.paste(0, kept)
    # Half way at the border: only what is beyond it is softened.
    share = new.filter(ImageFilter.BoxBlur(2 * reach)).point([max(2 * v - 255, 0) for v in range(256)])
    smooth = canvas.filter(ImageFilter.GaussianBlur(reach))
    return Image.composite(smooth, canvas, ImageChops.darker(share, new))


def _scale_box(box: Box, across: float, down: float) -> Box:
    """Return *box* scaled, and widened to whole pixels."""
    left, top, right, bottom = box
    return int(left * across), int(top * down), ceil(right * across), ceil(bottom * down)


def feather_new(hole: Image.Image, placed: Enlarged, reach: int) -> Image.Image:
    """Return *hole*, that of the canvas, with what is new fading in over *reach* pixels from what is kept.

    Of the picture itself it stays as it is: every pixel outside of the mask is kept, to the last.
    """
    from batchfill.images.prepare.grow import fade_mask  # numpy is loaded for those who need it

    kept, near = ImageChops.invert(hole), Image.new("L", hole.size)
    for box in _bands(placed, reach):
        fading = fade_mask(kept.crop(box), reach)
        near.paste(ImageChops.lighter(near.crop(box), fading), box)
    faded = ImageChops.darker(hole, ImageChops.invert(near))
    faded.paste(hole.crop(placed.box), placed.box)
    return faded


def _bands(placed: Enlarged, reach: int) -> Iterator[Box]:
    """Give what lies within *reach* of each border between the picture and what is new."""
    (left, top, right, bottom), (width, height) = placed.box, placed.size
    first, last = (
        (max(left - reach, 0), max(top - reach, 0)),
        (min(right + reach, width), min(bottom + reach, height)),
    )
    if left:
        yield (*first, min(left + reach, right), last[1])
    if right < width:
        yield (max(right - reach, left), first[1], *last)
    if top:
        yield (*first, last[0], min(top + reach, bottom))
    if bottom < height:
        yield (first[0], max(bottom - reach, top), *last)
