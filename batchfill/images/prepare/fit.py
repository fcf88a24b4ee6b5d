"""Making a picture and its mask ready to send: turned, grey, scaled down, small enough."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from math import ceil
from typing import TYPE_CHECKING

from PIL.Image import Resampling

from batchfill.catalog.pixel_options import Pixels
from batchfill.domain.drawn_masks import NOTHING, DrawnMask
from batchfill.errors import BadPicture
from batchfill.images.codec.colors import FOREIGN, has_alpha, without_alpha
from batchfill.images.codec.open import (
    MIMES,
    apply_orientation,
    is_rotated,
    is_turned,
    open_image,
    refuse_animation,
    turned_text,
    upright_size,
)
from batchfill.images.prepare.crop import crop_box
from batchfill.images.prepare.enlarge import fit_canvas, place_canvas
from batchfill.images.prepare.mask import read_mask, scale_mask

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from PIL.Image import Image

    from batchfill.catalog.sizes import Size, SizeRule
    from batchfill.domain.enlargement import Enlarged
    from batchfill.domain.rows import Box, Input

_QUALITIES = (95, 90, 85, 80, 70, 60, 50)
"""JPEG qualities, tried in turn until one fits."""

_SPARE = 1.7
"""Times the size it is sent at to which a picture is quickly made smaller, before it is scaled finely.

So it is 42 to 50 dB from one that is scaled finely all the way; with nothing to spare 37, and softer.
"""

_HARDER = 1.2
"""Times its limit that a PNG may have, packed quickly, for it to be worth packing it as small as it gets."""


@dataclass(frozen=True, slots=True)
class FitTask:
    """The exact bytes of a row's local picture and mask; either is None when it is remote."""

    picture: bytes | None
    mask: bytes | DrawnMask | None
    """What is drawn is drawn on the picture, which is local then."""
    pixels: Pixels = field(default_factory=Pixels)
    rule: SizeRule | None = None
    """What the model does to sizes; None keeps them."""
    inputs: Mapping[str, Input] = field(default_factory=dict)
    """The model's inputs, for the rule."""
    picture_limit: int | None = None
    """Bytes that the provider takes for the picture; None for no limit."""
    mask_limit: int | None = None
    picture_name: str = "picture"
    """What messages call the picture."""
    mask_name: str = "mask"

    def size_for(self, own: Size) -> Size:
        """Return the width and height to send what is of the *own* size at: never larger."""
        return self.rule.fitting_size(*own, self.inputs) if self.rule else own


@dataclass(frozen=True, slots=True)
class FittedFile:
    """One file as it is to be sent."""

    content: bytes
    mime: str
    size: Size
    """Width and height in pixels."""
    how: str
    """For run.log: `unchanged`, `PNG`, `JPEG q95`, …"""


@dataclass(frozen=True, slots=True)
class Fitted:
    """The answer to a FitTask; None where the task had None."""

    picture: FittedFile | None
    mask: FittedFile | None
    area: Box | None = None
    """What was cut out of the picture; None: all of it is sent."""


def fit_files(task: FitTask) -> Fitted:
    """Return the files of *task* as `send: fitted` sends them.

    The picture is turned as its EXIF says, cut to its area, scaled down (never up), without transparency,
    and its own bytes where nothing had to change; one that is enlarged is sent on its canvas. The mask
    becomes grey, white where to fill, and as large as that. Each is lossless where that fits its limit, else
    the best JPEG that fits. Raises BadPicture when a file is no picture, cannot be made small
    enough, or when the mask does not suit the picture.
    """
    own = _upright_size(task)
    placed = None if task.mask is None else place_canvas(task.pixels, own, has_mask=task.mask != NOTHING)
    # The mask first: it takes the room of a third of the picture, which is free again then.
    mask, area, size = _fit_mask(task, own, own if placed is None else placed.size)
    if placed is not None:
        return Fitted(_fit_enlarged(task, own, placed, size), mask)
    return Fitted(_fit_picture(task, own, area, size), mask, area)


def make_mask(task: FitTask) -> Fitted:
    """Return the drawn mask of *task* alone, at its picture's size, as `send: original` sends it.

    Raises BadPicture as fit_files does, and for a picture that its EXIF turns: the service does not turn it.
    """
    assert task.picture is not None
    with open_image(io.BytesIO(task.picture), task.picture_name) as image:
        own = upright_size(image)
        if is_rotated(image):
            raise BadPicture(turned_text(task.picture_name), kind="turned")
    hole = _read_mask(task, own)
    assert hole is not None
    return Fitted(None, _encode_within(hole, None, task.mask_limit, task.mask_name))


def _upright_size(task: FitTask) -> Size:
    """Return the size of the picture, or of the mask where the picture is remote, as its EXIF turns it."""
    content, name = (task.mask, task.mask_name) if task.picture is None else (task.picture, task.picture_name)
    assert isinstance(content, bytes)
    with open_image(io.BytesIO(content), name) as image:
        refuse_animation(image, name)
        return upright_size(image)


def _read_mask(task: FitTask, own: Size) -> Image | None:
    if task.mask is None:
        return None
    source = task.mask if isinstance(task.mask, DrawnMask) else io.BytesIO(task.mask)
    return read_mask(source, task.pixels, task.mask_name, own, strict=True)


def _crop_for(task: FitTask, own: Size, hole: Image) -> Box | None:
    return crop_box(own, hole, task.pixels, task.rule, task.inputs)


def _fit_picture(task: FitTask, own: Size, area: Box | None, size: Size) -> FittedFile | None:
    content, name = task.picture, task.picture_name
    if content is None:
        return None
    box = (0, 0, *own) if area is None else area
    across, down = size[0] / (box[2] - box[0]), size[1] / (box[3] - box[1])
    with open_image(io.BytesIO(content), name) as image:
        _decode_reduced(image, own, across, down)
        turned = apply_orientation(image)
        if area is None and _is_plain(image, turned, size) and _is_small_enough(content, task.picture_limit):
            return FittedFile(content, MIMES[image.format or ""], size, "unchanged")
        profile = None if image.mode in FOREIGN else image.info.get("icc_profile")
        fitting = _scale_part(turned, box, round(own[0] / turned.width), size, name)
        return _encode_within(fitting, profile, task.picture_limit, name)


def _scale_part(picture: Image, box: Box, shrunk: int, size: Size, name: str) -> Image:
    """Return at *size* what *box* holds of a picture; *picture* is it, its sides divided by *shrunk*."""
    left, top, right, bottom = (edge / shrunk for edge in box)
    right, bottom = min(right, picture.width), min(bottom, picture.height)
    outer = int(left), int(top), ceil(right), ceil(bottom)
    plain = without_alpha(picture if outer == (0, 0, *picture.size) else picture.crop(outer), name)
    if plain.size == size:
        return plain
    part = (left - outer[0], top - outer[1], right - outer[0], bottom - outer[1])
    return plain.resize(size, Resampling.LANCZOS, part, reducing_gap=_SPARE)


def _fit_enlarged(task: FitTask, own: Size, placed: Enlarged, size: Size) -> FittedFile | None:
    """Return the picture on its canvas, which has *size* when it is sent."""
    name = task.picture_name
    if task.picture is None:
        return None
    across, down = size[0] / placed.size[0], size[1] / placed.size[1]
    with open_image(io.BytesIO(task.picture), name) as image:
        _decode_reduced(image, own, across, down)
        plain = without_alpha(apply_orientation(image), name)
        profile = None if image.mode in FOREIGN else image.info.get("icc_profile")
        return _encode_within(fit_canvas(plain, own, placed, size), profile, task.picture_limit, name)


def _decode_reduced(image: Image, own: Size, across: float, down: float) -> None:
    """Have a JPEG decoded at a half, a quarter or an eighth, with _SPARE to what it is scaled to.

    *own*: its upright size. *across*, *down*: what of its sides is left.
    """
    target = ceil(own[0] * min(across * _SPARE, 1)), ceil(own[1] * min(down * _SPARE, 1))
    # Decoding in full takes most of the time for a photograph; of its detail nothing would be left.
    image.draft(None, target[::-1] if is_turned(image) else target)


def _fit_mask(task: FitTask, own: Size, whole: Size) -> tuple[FittedFile | None, Box | None, Size]:
    """Return the mask, the area of the picture that is sent, and the size that both are sent at.

    *own*: the picture's size. *whole*: that of what is sent without an area.
    """
    hole = _read_mask(task, own)
    area = None if hole is None or task.picture is None else _crop_for(task, own, hole)
    size = task.size_for(whole if area is None else (area[2] - area[0], area[3] - area[1]))
    return None if hole is None else _encode_mask(task, hole, area, size), area, size


def _encode_mask(task: FitTask, hole: Image, area: Box | None, size: Size) -> FittedFile:
    content = task.mask
    if (
        isinstance(content, bytes)
        and hole.size == size
        and _is_small_enough(content, task.mask_limit)
        and _is_clean(content, hole, task.mask_name)
    ):
        return FittedFile(content, "image/png", size, "unchanged")
    return _encode_within(
        scale_mask(hole if area is None else hole.crop(area), size), None, task.mask_limit, task.mask_name
    )


def _is_clean(content: bytes, hole: Image, name: str) -> bool:
    """Whether the stored mask already is what would be sent."""
    with open_image(io.BytesIO(content), name) as image:
        right = (
            image.format == "PNG"
            and image.mode == "L"
            and _is_plain(image, apply_orientation(image), hole.size)
        )
        return right and image.tobytes() == hole.tobytes()


def _is_plain(image: Image, turned: Image, size: Size) -> bool:
    """Whether the stored picture already is what would be sent."""
    right = turned.size == size and image.format in MIMES and image.mode in ("L", "RGB")
    return right and turned is image and not has_alpha(image)


def _is_small_enough(content: bytes, limit: int | None) -> bool:
    return limit is None or len(content) <= limit


def _encode_within(image: Image, profile: bytes | None, limit: int | None, name: str) -> FittedFile:
    content = b""
    for how, content in _smaller_encodings(image, profile, limit):
        if _is_small_enough(content, limit):
            mime = MIMES[how.partition(" ")[0]]
            return FittedFile(content, mime, image.size, how)
    best = f"{len(content):,} bytes as JPEG of quality {_QUALITIES[-1]}"
    raise BadPicture(f"{name} cannot be made small enough: {best}, and the provider takes {limit:,}")


def _smaller_encodings(image: Image, profile: bytes | None, limit: int | None) -> Iterator[tuple[str, bytes]]:
    """Give ever smaller encodings, each made only when it is asked for."""
    from batchfill.images.codec.png_packer import image_strips, profile_chunks, write_png  # for numpy, too

    target = io.BytesIO()
    write_png(target, image.size, image.mode, image_strips(image), chunks=profile_chunks(profile))
    yield "PNG", target.getvalue()
    if limit is not None and target.tell() <= _HARDER * limit:
        target = io.BytesIO()
        image.save(target, "PNG", icc_profile=profile, optimize=True)
        yield "PNG", target.getvalue()
    for quality in _QUALITIES:
        target = io.BytesIO()
        # Full colour resolution: the edges that the model is to continue are what subsampling blurs.
        image.save(target, "JPEG", quality=quality, subsampling=0, icc_profile=profile)
        yield f"JPEG q{quality}", target.getvalue()
