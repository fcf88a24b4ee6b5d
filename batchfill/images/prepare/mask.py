"""What is filled of a picture: whatever a mask file holds becomes one clean grey of the picture's size."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING

from PIL import Image
from PIL.Image import Resampling

from batchfill.domain.drawn_masks import NOTHING, DrawnMask
from batchfill.errors import BadPicture
from batchfill.images.codec.colors import has_alpha, to_grey
from batchfill.images.codec.open import apply_orientation, open_image, refuse_animation
from batchfill.images.prepare.enlarge import place_canvas, widen_mask
from batchfill.images.prepare.mask_values import (
    NEARLY,
    Greys,
    clean_values,
    find_partial,
    is_mostly_grey,
    pick_foreground,
    read_labels,
    read_nonzero,
    stretch_values,
)

if TYPE_CHECKING:
    from pathlib import Path

    from batchfill.catalog.pixel_options import Pixels
    from batchfill.catalog.sizes import Size


def read_mask(
    source: Path | IO[bytes] | DrawnMask, pixels: Pixels, name: str, size: Size, *, strict: bool = False
) -> Image.Image:
    """Return the mask in *source* as "L" of *size*, the upright picture's: white is filled, and has grown.

    Of a picture that is enlarged it is the canvas's: what is new is filled as well, and the mask has grown on
    the picture only.
    *strict*: greys that would be filled in part are refused, too; what is paid for is read as it was sent.
    Raises BadPicture, beginning with *name* and ending with what to do: no picture, nothing or all of it
    filled, a shape that only transparency holds, another shape than the picture's.
    """
    placed = place_canvas(pixels, size, has_mask=source != NOTHING)
    if isinstance(source, DrawnMask):
        hole = draw_mask(source, size)
    else:
        with open_image(source, name) as image:
            refuse_animation(image, name)
            upright = apply_orientation(image)
            drawn = clean_mask(upright, pixels, name)
            if strict:
                refuse_partial(upright, drawn, pixels, name)
        refuse_misfit(size, drawn.image.size, pixels, name)
        hole = scale_mask(drawn.image, size)
    if pixels.mask_grow:
        from batchfill.images.prepare.grow import grow_mask  # numpy is loaded for those who need it

        hole = grow_mask(hole, pixels.mask_grow)
    return hole if placed is None else widen_mask(hole, placed)


def draw_mask(drawn: DrawnMask, size: Size) -> Image.Image:
    """Return the boxes and polygons of *drawn* white on black. Raises BadPicture: nothing, or all of it."""
    if drawn.is_nothing:
        return Image.new("L", size)
    from batchfill.images.codec.shapes import fill_shapes  # numpy is loaded for those who need it

    hole = fill_shapes(drawn, size)
    whole = Greys(hole).filled
    if not whole:
        raise BadPicture(drawn.outside_text(*size), kind="empty")
    if whole == size[0] * size[1]:
        raise BadPicture(f"{drawn.name} holds all of its picture: everything would be filled", kind="full")
    return hole


def clean_mask(mask: Image.Image, pixels: Pixels, name: str) -> Greys:
    """Return the upright *mask* at its own size, cleaned: white is filled. Raises BadPicture."""
    chosen = _choose_channel(mask, pixels.mask_from, name)
    if 0 < chosen.filled < sum(chosen.counts):
        return chosen
    if pixels.mask_from in ("white", "black", "nonzero") and alpha_varies(mask):
        raise BadPicture(_ALPHA_ONLY.format(name=name), kind="alpha")
    everything = chosen.filled > 0
    kind = "full" if everything else "empty"
    raise BadPicture(_one_sided(name, pixels, everything=everything), kind=kind)


def refuse_partial(mask: Image.Image, hole: Greys, pixels: Pixels, name: str) -> None:
    """Raise BadPicture when a grey of *mask* would be filled in part, or most of it.

    *hole* is the mask, cleaned.
    """
    grey = find_partial(hole)
    if grey is None:
        if is_mostly_grey(hole):
            raise BadPicture(f"{name} {_NO_MASK}", kind="grey")
        return
    opacity = pixels.mask_from == "alpha" or (pixels.mask_from == "auto" and alpha_varies(mask))
    own = _read_alpha(mask, name) if opacity else to_grey(mask, name)
    counts = own.histogram(mask=hole.image.point([255 * (value == grey) for value in range(256)]))
    value = max(range(256), key=counts.__getitem__)
    what = "the opacity" if opacity else "the grey"
    way_out = _PARTLY.get(pixels.mask_from, _PARTLY["auto"])
    raise BadPicture(f"{name} has {what} {value} of 255, {_HALF_WAY}: {way_out}", kind="grey")


def scale_mask(mask: Image.Image, size: Size) -> Image.Image:
    """Return *mask* at *size*."""
    if size == mask.size:
        return mask
    method = scaling_method(mask.size, size)
    return _shrink_mask(mask, size) if method == Resampling.BOX else mask.resize(size, method)


def scaling_method(mask: Size, size: Size) -> Resampling:
    """Return how a mask of one size is scaled to another."""
    # BOX counts covered pixels when scaling down; scaling up by it would only make stairs.
    shrinks = size[0] <= mask[0] and size[1] <= mask[1]
    return Resampling.BOX if shrinks else Resampling.BILINEAR


def _shrink_mask(mask: Image.Image, size: Size) -> Image.Image:
    """Return *mask* at *size*, to the bit as BOX makes it of all its rows, of those that are not black."""
    _, top, _, bottom = mask.getbbox() or (0, 0, 1, 1)
    # Across first, as Pillow does it, so that each number is rounded where it always was.
    rows = mask.crop((0, top, mask.width, bottom)).resize((size[0], bottom - top), Resampling.BOX)
    left, _, right, _ = rows.getbbox() or (0, 0, 1, 1)
    columns = Image.new("L", (right - left, mask.height))
    columns.paste(rows.crop((left, 0, right, rows.height)), (0, top))
    small = Image.new("L", size)
    small.paste(columns.resize((right - left, size[1]), Resampling.BOX), (left, 0))
    return small


def same_shape(one: Size, other: Size) -> bool:
    """Whether one size is the other scaled, give or take the rounding of the smaller one's sides."""
    small, large = sorted((one, other))
    scale = max(large[0] / small[0], large[1] / small[1])
    return all(abs(big - little * scale) <= scale for big, little in zip(large, small, strict=True))


def refuse_misfit(picture: Size, mask: Size, pixels: Pixels, name: str) -> None:
    """Raise BadPicture for a mask of another shape than its picture, unless it is to be stretched."""
    if pixels.mask_fit != "resize" and not same_shape(picture, mask):
        raise BadPicture(
            f"{name} is {_size_text(mask)} but its picture is {_size_text(picture)}: make both the same "
            "size, "
            "or set mask_fit: resize to stretch the mask",
            kind="shape",
        )


def _choose_channel(mask: Image.Image, source: str, name: str) -> Greys:
    match source:
        case "white":
            return clean_values(Greys(to_grey(mask, name)))
        case "black":
            return clean_values(Greys(to_grey(mask, name)).invert())
        case "alpha":
            return clean_values(Greys(_read_alpha(mask, name)).invert())
        case "nonzero":
            return Greys(read_nonzero(mask, name))
        case _:
            return _guess_channel(mask, name)


def _guess_channel(mask: Image.Image, name: str) -> Greys:
    """Return what is most likely meant: strokes on an empty layer, a hole in a picture, or the rarer grey."""
    drawn = read_labels(mask, name)
    if alpha_varies(mask):
        alpha = _read_alpha(mask, name)
        return stretch_values(Greys(alpha) if _one_grey(drawn, alpha) else Greys(alpha).invert())
    return pick_foreground(Greys(drawn))


def _one_grey(drawn: Image.Image, alpha: Image.Image) -> bool:
    """Whether all that can be seen has one grey, as strokes on an empty layer have."""
    most = max(value for value, count in enumerate(alpha.histogram()) if count)
    # Of strokes that can hardly be seen the middle counts as well.
    counts = drawn.histogram(mask=alpha.point([255 * (2 * value > most) for value in range(256)]))
    greys = [value for value, count in enumerate(counts) if count]
    return bool(greys) and greys[-1] - greys[0] < NEARLY


def _read_alpha(mask: Image.Image, name: str) -> Image.Image:
    if not has_alpha(mask):
        message = f"{name} has no transparency, which alpha takes: set mask_from: white, or name a mask"
        raise BadPicture(message, kind="alpha")
    return mask.convert("RGBA").getchannel("A")


_ALPHA_ONLY = (
    "{name} holds its shape in its transparency, which the service ignores: save it in black (keep) and "
    "white (fill) without transparency, or set mask_from: alpha (fills what is transparent) or auto"
)
_HALF_WAY = "which would be filled only in part"
_PARTLY = {
    "white": "draw it white (fill) or black (keep), or set mask_from: nonzero or auto",
    "black": "draw it black (fill) or white (keep)",
    "alpha": "make it transparent (fill) or opaque (keep), or set mask_from: auto",
    "auto": "draw it white (fill) or black (keep), or set mask_from: nonzero",
}
_NO_MASK = (
    "is grey over most of it, as a photograph or a gradient is, and no mask: "
    "draw what is to be filled white and everything else black, or swap the columns image and mask"
)
_SIDES = {"white": ("black", "white"), "black": ("white", "black"), "alpha": ("opaque", "transparent")} | {
    "nonzero": ("black", "lighter than black")
}
"""How masks have what is kept and what is filled."""


def _one_sided(name: str, pixels: Pixels, *, everything: bool) -> str:
    kept, filled = _SIDES.get(pixels.mask_from, ("of one grey", "another grey"))
    if everything:
        return f"{name} is {filled} all over: everything would be filled; draw what is to be kept {kept}"
    return f"{name} is {kept} all over: nothing would be filled; draw what is to be filled {filled}"


def alpha_varies(mask: Image.Image) -> bool:
    """Whether *mask* is more transparent in some places than in others."""
    return has_alpha(mask) and max(_read_alpha(mask, "").histogram()) < mask.width * mask.height


def _size_text(size: Size) -> str:
    return f"{size[0]}x{size[1]}"
