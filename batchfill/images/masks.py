"""Judging a mask before anything is paid: is it whole, does it fit its picture, what would it fill."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from PIL import ImageOps

from batchfill.errors import BadPicture
from batchfill.images.colours import grey, has_alpha
from batchfill.images.opening import opened, refuse_animation

if TYPE_CHECKING:
    from pathlib import Path

    from PIL.Image import Image

_MOSTLY_GREY = 0.2
"""Share of the pixels that are neither nearly black nor nearly white, above which a mask is suspicious."""

Size = tuple[int, int]


@dataclass(frozen=True, slots=True)
class JudgeTask:
    """A local picture and its local mask; either is None when it is remote."""

    picture: Path | None
    mask: Path | None


class Judgement(NamedTuple):
    """What is wrong, and what looks wrong: messages for a person."""

    errors: tuple[str, ...]
    warnings: tuple[str, ...]


def judge(task: JudgeTask) -> Judgement:
    """Decode the files of *task* and say what is wrong with them; never raises for what they hold."""
    errors: list[str] = []
    turned_from: Size | None = None
    picture = mask = None
    try:
        if task.picture is not None:
            picture, turned_from = _measure(task.picture)
    except BadPicture as error:
        errors.append(str(error))
    try:
        if task.mask is not None:
            mask = _judge_mask(task.mask, picture, turned_from)
    except BadPicture as error:
        errors.append(str(error))
    found = mask or Judgement((), ())
    return Judgement((*errors, *found.errors), found.warnings)


def judge_pixels(mask: Image, name: str) -> Judgement:
    """Say what is wrong with the pixels of a decoded mask. Raises BadPicture when they cannot be read."""
    counts = grey(mask, name).histogram()
    dark, bright = sum(counts[:128]), sum(counts[128:])
    if max(counts) == dark + bright and _alpha_varies(mask):
        return Judgement((_alpha_only(name),), ())
    if not bright:
        return Judgement((f"{name} is black all over: nothing would be filled",), ())
    if not dark:
        return Judgement((f"{name} is white all over: everything would be filled",), ())
    return Judgement((), tuple(_suspicions(counts, name)))


def misfit(picture: Size, mask: Size, name: str, *, turned_from: Size | None = None) -> str | None:
    """Say why a mask of another shape than its picture cannot be used; None when the shapes agree.

    Sizes are after EXIF rotation; *turned_from* is the picture's size as stored, where rotation swaps it.
    """
    if _same_shape(picture, mask):
        return None
    why = f"{name} is {_words(mask)} but its picture is {_words(picture)}"
    if turned_from is not None and _same_shape(turned_from, mask):
        return f"{why} once turned as its EXIF orientation says: turn the mask too"
    return f"{why}: both must be the same size"


def _judge_mask(path: Path, picture: Size | None, turned_from: Size | None) -> Judgement:
    with opened(path, path.name) as image:
        refuse_animation(image, path.name)
        mask = ImageOps.exif_transpose(image)
        found = judge_pixels(mask, path.name)
    if picture is None or picture == mask.size:
        return found
    error = misfit(picture, mask.size, path.name, turned_from=turned_from)
    if error is not None:
        return found._replace(errors=(*found.errors, error))
    scaled = (
        f"{path.name} is {_words(mask.size)}, its picture {_words(picture)}: send: fitted scales the mask"
    )
    return found._replace(warnings=(*found.warnings, scaled))


def _measure(path: Path) -> tuple[Size, Size | None]:
    """Decode a picture; return its size after rotation, and as stored when rotation swaps the sides."""
    with opened(path, path.name) as image:
        refuse_animation(image, path.name)
        image.load()
        stored, turned = image.size, ImageOps.exif_transpose(image).size
    return turned, stored if turned != stored else None


def _alpha_varies(mask: Image) -> bool:
    if not has_alpha(mask):
        return False
    low, high = mask.convert("RGBA").getchannel("A").getextrema()
    return low != high


def _alpha_only(name: str) -> str:
    return (
        f"{name} holds its shape in its transparency, which the service ignores: "
        "save it in black (keep) and white (fill) without transparency"
    )


def _suspicions(counts: list[int], name: str) -> list[str]:
    """*counts*: pixels of each of the 256 greys."""
    total = sum(counts)
    found = []
    white = sum(counts[128:]) / total
    if white > 0.5:
        found.append(f"{name} is {white:.0%} white, and white is what gets filled: is it inverted?")
    if sum(counts[32:224]) > _MOSTLY_GREY * total:
        found.append(f"{name} is largely grey, and grey is filled in part: is it a mask?")
    return found


def _same_shape(one: Size, other: Size) -> bool:
    """Whether one size is the other scaled, give or take the rounding of the smaller one's sides."""
    small, large = sorted((one, other))
    scale = max(large[0] / small[0], large[1] / small[1])
    return all(abs(big - little * scale) <= scale for big, little in zip(large, small, strict=True))


def _words(size: Size) -> str:
    return f"{size[0]}x{size[1]}"
