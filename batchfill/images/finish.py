"""Pasting an output back: the original, with nothing changed but what was to be filled."""

from __future__ import annotations

import io
import os
import struct
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from PIL import Image, ImageOps
from PIL.Image import Resampling

from batchfill.errors import BadPicture
from batchfill.images.colours import DEEP, FOREIGN, GREY, has_alpha, without_alpha
from batchfill.images.hole import read_hole
from batchfill.images.note import written_in
from batchfill.images.opening import SUFFIXES, opened, refuse_animation
from batchfill.values import Picture

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from batchfill.catalog import Pixels
    from batchfill.values import Box, LocalFile

QUALITY = 95
"""Of a JPEG, whose pixels outside the mask are nearly the original's, as its own compression leaves them."""

_FORMATS = {"jpg": "JPEG", "webp": "WEBP"}
_OPTIONS: Mapping[str, Mapping[str, Any]] = {
    # Beyond the third level of ten, half the time goes for a few per cent of the size.
    "PNG": {"compress_level": 3},
    "JPEG": {"quality": QUALITY, "subsampling": 0},
    "WEBP": {"lossless": True, "quality": 20, "method": 2, "exact": True},
}
_LONGEST_WEBP = 16_383


@dataclass(frozen=True, slots=True)
class FinishTask:
    """One output and what it was made of. Travels to a process; may run twice."""

    raw: Path
    """The output as the service sent it."""
    picture: LocalFile
    mask: LocalFile
    pixels: Pixels
    area: Box | None
    """What was sent of the upright picture; None: all of it."""
    target: Path
    """Where the finished file is written, whole and flushed to disk, without a suffix."""
    format: str | None
    """`jpg` or `webp`, when the row asks for it; else PNG."""
    note: Mapping[str, str]
    """What the file tells of itself, by name; empty for nothing."""


@dataclass(frozen=True, slots=True)
class Finished:
    """A finished file, at its task's target."""

    size: int
    """Bytes."""
    sha256: str
    picture: Picture


def finish(task: FinishTask) -> Finished:
    """Write the finished picture of *task*.

    The original upright, at its own size, mode and depth, with its alpha, colour profile and EXIF; every
    pixel that the grown and feathered mask leaves black is the original's, to the bit in PNG and WebP.
    Pictures with a palette become RGB, of other colour spaces too (without their profile). Raises BadPicture
    when a file cannot be read or is not the one that was sent, OSError when the disk does not take it.
    """
    original, extras = _read_original(task.picture)
    hole = read_hole(_content(task.mask), task.pixels, task.mask.path.name, original.size)
    if task.pixels.mask_feather:
        from batchfill.images.spread import faded  # numpy is loaded for those who need it

        hole = faded(hole, task.pixels.mask_feather)
    area = task.area or (0, 0, *original.size)
    with opened(task.raw, task.raw.name) as output:
        _paste(original, without_alpha(output, task.raw.name), hole.crop(area), area)
    return _write(task, original, extras)


def _content(file: LocalFile) -> io.BytesIO:
    try:
        content = file.path.read_bytes()
    except OSError as error:
        raise BadPicture(f"{file.path.name} cannot be read: {error.strerror}") from error
    if sha256(content).hexdigest() != file.sha256:
        raise BadPicture(f"{file.path.name} is no longer the file that was sent")
    return io.BytesIO(content)


def _read_original(file: LocalFile) -> tuple[Image.Image, dict[str, Any]]:
    """Return the picture upright, in a mode that can be pasted into, and what is saved along with it."""
    with opened(_content(file), file.path.name) as image:
        refuse_animation(image, file.path.name)
        upright = ImageOps.exif_transpose(image)
        extras: dict[str, Any] = {}
        if exif := _exif(upright):
            extras["exif"] = exif
        if image.mode not in FOREIGN:
            extras["icc_profile"] = image.info.get("icc_profile")
        return _pastable(upright, file.path.name), extras


def _exif(upright: Image.Image) -> bytes | None:
    """Return the EXIF to save along; None where there is none, or none that can be written."""
    try:
        found = upright.getexif()
        return found.tobytes() if found else None
    except (ValueError, TypeError, KeyError, OSError, struct.error):
        return None  # broken EXIF of a picture that decodes is nobody's concern


def _pastable(image: Image.Image, name: str) -> Image.Image:
    if image.mode == "F":
        raise BadPicture(f"{name} holds floating-point values: save it with 8 bits a channel")
    if image.mode in DEEP:
        return image.convert("I")
    if has_alpha(image):
        return image.convert("LA" if image.mode in GREY else "RGBA")
    return image.convert("L" if image.mode in GREY else "RGB")


def _paste(original: Image.Image, output: Image.Image, hole: Image.Image, area: Box) -> None:
    """Paste *output*, scaled to *area*, into *original* where *hole* (of the area's size) is not black."""
    filled = output if output.size == hole.size else output.resize(hole.size, Resampling.LANCZOS)
    if original.mode == "I":
        _paste_deep(original, filled.convert("L"), hole, area)
    elif original.mode in ("LA", "RGBA"):
        # What was transparent stays so.
        alpha = original.getchannel("A")
        filled = filled.convert(original.mode)
        filled.putalpha(alpha.crop(area))
        original.paste(filled, area, hole)
        original.putalpha(alpha)
    else:
        original.paste(filled.convert(original.mode), area, hole)


def _paste_deep(original: Image.Image, filled: Image.Image, hole: Image.Image, area: Box) -> None:
    """The same for greys of 16 bits, which Pillow does not blend."""
    import numpy as np  # for the few pictures that need it

    before = np.asarray(original.crop(area), np.int64)
    share = np.asarray(hole, np.int64)
    blended = (before * (255 - share) + np.asarray(filled, np.int64) * 257 * share + 127) // 255
    original.paste(Image.fromarray(np.where(share == 0, before, blended).astype(np.int32)), area)


def _write(task: FinishTask, picture: Image.Image, extras: Mapping[str, Any]) -> Finished:
    kind = _kind(task.format, picture)
    told = written_in(kind, task.note)
    encoded = picture.convert("I;16") if picture.mode == "I" else picture
    target = io.BytesIO()
    encoded.save(target, kind, **_OPTIONS[kind], **extras, **told)
    content = target.getbuffer()
    with task.target.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    shown = Picture(kind, SUFFIXES[kind], picture.width, picture.height, encoded.mode)
    return Finished(len(content), sha256(content).hexdigest(), shown)


def _kind(asked: str | None, picture: Image.Image) -> str:
    """Return the format: the one asked for where it holds all of the picture, else PNG."""
    kind = _FORMATS.get(asked or "", "PNG")
    unfit = {
        "JPEG": picture.mode not in ("L", "RGB"),
        "WEBP": picture.mode == "I" or max(picture.size) > _LONGEST_WEBP,
    }
    return "PNG" if unfit.get(kind) else kind
