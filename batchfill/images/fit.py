"""Making a picture and its mask ready to send: turned, grey, scaled down, small enough."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

from PIL import ImageOps
from PIL.Image import Resampling

from batchfill.errors import BadPicture
from batchfill.images.colours import FOREIGN, grey, has_alpha, without_alpha
from batchfill.images.masks import judge_pixels, misfit
from batchfill.images.opening import MIMES, is_turned, opened, refuse_animation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from PIL.Image import Image

Size = tuple[int, int]

_QUALITIES = (95, 90, 85, 80, 70, 60, 50)
"""JPEG qualities, tried in turn until one fits."""


@dataclass(frozen=True, slots=True)
class FitTask:
    """The exact bytes of a row's local picture and mask; either is None when it is remote."""

    picture: bytes | None
    mask: bytes | None
    size: Size | None = None
    """Width and height to scale down to, after EXIF rotation; None keeps the size."""
    picture_limit: int | None = None
    """Bytes that the provider takes for the picture; None for no limit."""
    mask_limit: int | None = None
    picture_name: str = "picture"
    """What messages call the picture."""
    mask_name: str = "mask"


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


def fit(task: FitTask) -> Fitted:
    """Return the files of *task* as `send: fitted` sends them.

    The picture is turned as its EXIF says, scaled down (never up), without transparency, and its own bytes
    where nothing had to change. The mask becomes grey and as large as the picture. Each is lossless where
    that fits its limit, else the best JPEG that fits. Raises BadPicture when a file is no picture, cannot be
    made small enough, or when the mask does not suit the picture.
    """
    picture, upright = _fit_picture(task) if task.picture is not None else (None, None)
    if task.mask is None:
        return Fitted(picture, None)
    return Fitted(picture, _fit_mask(task, picture, upright))


def _fit_picture(task: FitTask) -> tuple[FittedFile, Size]:
    """Return the picture as it is to be sent, and its own size when upright."""
    content, name = task.picture, task.picture_name
    assert content is not None
    with opened(io.BytesIO(content), name) as image:
        refuse_animation(image, name)
        _hurry(image, task.size)
        turned = ImageOps.exif_transpose(image)
        size = _smaller(turned.size, task.size)
        if _is_plain(image, turned, size) and _fits(content, task.picture_limit):
            return FittedFile(content, MIMES[image.format or ""], size, "unchanged"), turned.size
        plain = without_alpha(turned, name)
        profile = None if image.mode in FOREIGN else image.info.get("icc_profile")
        scaled = plain if size == plain.size else plain.resize(size, Resampling.LANCZOS, reducing_gap=3.0)
        return _encode(scaled, profile, task.picture_limit, name), turned.size


def _hurry(image: Image, target: Size | None) -> None:
    """Have a large JPEG decoded at a half, a quarter or an eighth, still twice as large as the target."""
    if target is not None:
        width, height = reversed(target) if is_turned(image) else target
        # Decoding in full takes most of the time for a photograph; of its detail nothing would be left.
        image.draft(None, (2 * width, 2 * height))


def _fit_mask(task: FitTask, picture: FittedFile | None, upright: Size | None) -> FittedFile:
    content, name = task.mask, task.mask_name
    assert content is not None
    with opened(io.BytesIO(content), name) as image:
        refuse_animation(image, name)
        mask = ImageOps.exif_transpose(image)
        _check_mask(mask, name, upright)
        size = picture.size if picture else _smaller(mask.size, task.size)
        as_it_is = image.format == "PNG" and image.mode == "L" and _is_plain(image, mask, size)
        if as_it_is and _fits(content, task.mask_limit):
            return FittedFile(content, "image/png", size, "unchanged")
        plain = grey(mask, name)
        return _encode(_scale_mask(plain, size), None, task.mask_limit, name)


def _check_mask(mask: Image, name: str, upright: Size | None) -> None:
    errors = judge_pixels(mask, name).errors
    # Against the picture's own size: the one it is scaled to may be of a slightly other shape.
    error = errors[0] if errors else upright and misfit(upright, mask.size, name)
    if error:
        raise BadPicture(error)


def _scale_mask(mask: Image, size: Size) -> Image:
    # BOX counts covered pixels when scaling down; scaling up by it would only make stairs.
    shrinks = size[0] <= mask.width and size[1] <= mask.height
    return (
        mask if size == mask.size else mask.resize(size, Resampling.BOX if shrinks else Resampling.BILINEAR)
    )


def _smaller(own: Size, target: Size | None) -> Size:
    """Return the target, or the own size where reaching the target would mean scaling up."""
    if target is None or target[0] > own[0] or target[1] > own[1]:
        return own
    return target


def _is_plain(image: Image, turned: Image, size: Size) -> bool:
    """Whether the stored picture already is what would be sent."""
    orientation = image.getexif().get(0x0112, 1)
    right = turned.size == size and image.format in MIMES and image.mode in ("L", "RGB")
    return right and orientation == 1 and not has_alpha(image)


def _fits(content: bytes, limit: int | None) -> bool:
    return limit is None or len(content) <= limit


def _encode(image: Image, profile: bytes | None, limit: int | None, name: str) -> FittedFile:
    content = b""
    for how, content in _encodings(image, profile):
        if _fits(content, limit):
            mime = MIMES[how.partition(" ")[0]]
            return FittedFile(content, mime, image.size, how)
    best = f"{len(content):,} bytes as JPEG of quality {_QUALITIES[-1]}"
    raise BadPicture(f"{name} cannot be made small enough: {best}, and the provider takes {limit:,}")


def _encodings(image: Image, profile: bytes | None) -> Iterator[tuple[str, bytes]]:
    """Give ever smaller encodings, each made only when it is asked for."""
    target = io.BytesIO()
    image.save(target, "PNG", icc_profile=profile)
    yield "PNG", target.getvalue()
    for quality in _QUALITIES:
        target = io.BytesIO()
        # Full colour resolution: the edges that the model is to continue are what subsampling blurs.
        image.save(target, "JPEG", quality=quality, subsampling=0, icc_profile=profile)
        yield f"JPEG q{quality}", target.getvalue()
