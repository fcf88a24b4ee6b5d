"""Pasting an output back: the original, with nothing changed but what was to be filled."""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import file_digest, sha256
from typing import IO, TYPE_CHECKING, Any, cast

from PIL import Image
from PIL.Image import Resampling

from batchfill.domain.drawn_masks import DrawnMask
from batchfill.domain.predictions import Picture
from batchfill.errors import BadPicture
from batchfill.images.codec.colors import (
    DEEP,
    FOREIGN,
    GREY,
    has_alpha,
    refuse_floats,
    to_16_bits,
    without_alpha,
)
from batchfill.images.codec.open import SUFFIXES, apply_orientation, open_image, refuse_animation
from batchfill.images.composite import metadata
from batchfill.images.composite.metadata import write_metadata
from batchfill.images.prepare.mask import read_mask
from batchfill.regular_files import open_regular

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from batchfill.catalog.pixel_options import Pixels
    from batchfill.catalog.sizes import Size
    from batchfill.domain.rows import Box, LocalFile

QUALITY = 95
"""Of a JPEG, whose pixels outside the mask are nearly the original's: 47 dB, two thirds of a grey level."""

_FORMATS = {"jpg": "JPEG", "webp": "WEBP"}
_OPTIONS: Mapping[str, Mapping[str, Any]] = {
    # Each level above adds a quarter to the time, for a few per cent of the size; from the sixth on more.
    "PNG": {"compress_level": 3},
    # Comments are no EXIF, and those of other formats may be too long.
    "JPEG": {"quality": QUALITY, "subsampling": 0, "comment": b""},
    # More method takes four times as long and half as much memory again, for a few per cent either way.
    "WEBP": {"lossless": True, "quality": 20, "method": 0, "exact": True},
}
_LONGEST_JPEG, _LONGEST_WEBP = 65_500, 16_383
"""Pixels of a side."""
_LONGEST_SEGMENT = 65_500
"""Bytes of EXIF, or of XMP, in a JPEG."""

_STRIP = 256
"""Rows that are filled together: an output scaled up to all of a large picture takes as much room as that."""


@dataclass(frozen=True, slots=True)
class FinishTask:
    """One output and what it was made of. Travels to a process; may run twice."""

    raw: Path
    """The output as the service sent it."""
    picture: LocalFile
    mask: LocalFile | DrawnMask
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


def make_composite(task: FinishTask) -> Finished:
    """Write the finished picture of *task*.

    The original upright, at its own size, mode and depth, with its alpha, colour profile and EXIF; every
    pixel that the grown and feathered mask leaves black is the original's, to the bit in PNG and WebP. What
    the mask fills is opaque.
    Pictures with a palette become RGB, of other colour spaces too (without their profile), of two greys
    greys; of colours with 16 bits 8 are read. Raises BadPicture when a file cannot be read or is not the one
    that was sent, or when no format takes the picture; OSError when the disk does not take it.
    """
    picture, extras = _read_original(task.picture)
    _fill_masked(picture, task)
    return _write_file(task, picture, extras)


@contextmanager
def _open_unchanged(file: LocalFile) -> Iterator[IO[bytes]]:
    """Give *file*, at its beginning. Raises BadPicture when it is gone or not what it was."""
    try:
        content = open_regular(file.path)
    except OSError as error:
        raise BadPicture(f"{file.path.name} cannot be read: {error.strerror}") from error
    with content:
        if file_digest(content, "sha256").hexdigest() != file.sha256:
            raise BadPicture(f"{file.path.name} is no longer the file that was sent")
        content.seek(0)
        yield content


def _read_original(file: LocalFile) -> tuple[Image.Image, dict[str, Any]]:
    """Return the picture upright, in a mode that can be pasted into, and what is saved along with it."""
    with _open_unchanged(file) as content, open_image(content, file.path.name) as image:
        refuse_animation(image, file.path.name)
        picture = _convert_for_paste(apply_orientation(image), file.path.name)
        profile = None if image.mode in FOREIGN else image.info.get("icc_profile")
        return picture, {"exif": metadata.keep_exif(image), "icc_profile": profile}


def _convert_for_paste(image: Image.Image, name: str) -> Image.Image:
    refuse_floats(image, name)
    if image.mode in DEEP:
        return to_16_bits(image, name)
    colours = "L" if image.mode in GREY else "RGB"
    mode = colours + "A" if has_alpha(image) else colours
    # A copy would take as much room again.
    return image if image.mode == mode else image.convert(mode)


def _fill_masked(picture: Image.Image, task: FinishTask) -> None:
    """Paste the output of *task* into *picture* where the mask says."""
    left, top, right, bottom = task.area or (0, 0, *picture.size)
    hole = _read_mask(task, picture.size).crop((left, top, right, bottom))
    with open_image(task.raw, task.raw.name) as image:
        image.load()
        output = without_alpha(image, task.raw.name)
    # All of its width at once: Pillow begins with the cheaper direction, another one for another strip.
    output = output.resize((hole.width, output.height), Resampling.LANCZOS)
    for box in _cover_boxes(hole):
        corner = left + box[0], top + box[1]
        _paste_box(picture, _scale_box(output, hole.size, box), hole.crop(box), corner)


def _cover_boxes(hole: Image.Image) -> Iterator[Box]:
    """Give boxes that hold all of *hole* that is not black, none of them high."""
    for top in range(0, hole.height, _STRIP):
        box = hole.crop((0, top, hole.width, min(top + _STRIP, hole.height))).getbbox()
        if box is not None:
            yield box[0], top + box[1], box[2], top + box[3]


def _read_mask(task: FinishTask, size: Size) -> Image.Image:
    if isinstance(task.mask, DrawnMask):
        hole = read_mask(task.mask, task.pixels, task.mask.name, size)
    else:
        with _open_unchanged(task.mask) as content:
            hole = read_mask(content, task.pixels, task.mask.path.name, size)
    if not task.pixels.mask_feather:
        return hole
    from batchfill.images.prepare.grow import fade_mask  # numpy is loaded for those who need it

    return fade_mask(hole, task.pixels.mask_feather)


def _scale_box(output: Image.Image, size: Size, box: Box) -> Image.Image:
    """Return what lies in *box* once *output* is scaled to *size*: it alone is made."""
    if output.size == size:
        return output.crop(box)
    left, top, right, bottom = box
    (width, height), (across, down) = output.size, size
    source = (left * width / across, top * height / down, right * width / across, bottom * height / down)
    return output.resize((right - left, bottom - top), Resampling.LANCZOS, source)


def _paste_box(picture: Image.Image, filled: Image.Image, hole: Image.Image, corner: Size) -> None:
    """Paste *filled* into *picture* from *corner* on, where *hole*, of the same size, is not black."""
    box = (*corner, corner[0] + hole.width, corner[1] + hole.height)
    if picture.mode == "I;16":
        _paste_deep(picture, filled.convert("L"), hole, box)
        return
    if picture.mode in ("LA", "RGBA"):
        # What is filled is to be seen, and a colour that was hidden is no part of a blend.
        over = filled.convert("RGBA")
        over.putalpha(hole)
        blended = Image.alpha_composite(picture.crop(box).convert("RGBA"), over)
        picture.paste(blended.convert(picture.mode), box, hole.point([0] + [255] * 255))
        return
    picture.paste(filled.convert(picture.mode), box, hole)


def _paste_deep(picture: Image.Image, filled: Image.Image, hole: Image.Image, box: Box) -> None:
    """The same for greys of 16 bits, which Pillow does not blend."""
    import numpy as np  # for the few pictures that need it

    old, new, share = (np.asarray(each, np.int32) for each in (picture.crop(box), filled, hole))
    blended = (old * (255 - share) + new * 257 * share + 127) // 255
    picture.paste(Image.fromarray(blended.astype(np.uint16)), box)


def _write_file(task: FinishTask, picture: Image.Image, extras: Mapping[str, Any]) -> Finished:
    kind = _FORMATS.get(task.format or "", "PNG")
    options = {**_OPTIONS[kind], **extras, **write_metadata(kind, task.note)}
    if not _can_hold(kind, picture, options):
        kind, options = "PNG", {**_OPTIONS["PNG"], **extras, **write_metadata("PNG", task.note)}
    with task.target.open("wb") as file:
        written = _Written(file)
        _save_picture(picture, written, kind, options, task.picture.path.name)
        file.flush()
        os.fsync(file.fileno())
    shown = Picture(kind, SUFFIXES[kind], picture.width, picture.height, picture.mode)
    return Finished(written.size, written.digest.hexdigest(), shown)


def _can_hold(kind: str, picture: Image.Image, options: Mapping[str, Any]) -> bool:
    """Whether a file of *kind* holds all of *picture* and of what is saved with it."""
    if kind == "JPEG":
        told = max(len(options["exif"]), len(options.get("xmp", b"")))
        return (
            picture.mode in ("L", "RGB") and max(picture.size) <= _LONGEST_JPEG and told <= _LONGEST_SEGMENT
        )
    if kind == "WEBP":
        return picture.mode in ("RGB", "RGBA") and max(picture.size) <= _LONGEST_WEBP
    return True


class _Written:
    """A file that is written to, and what there is to know of its content then."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.size = 0
        self.digest = sha256()

    def write(self, content: bytes) -> int:
        """Pass *content* on."""
        self.digest.update(content)
        self.size += len(content)
        return self._file.write(content)


def _save_picture(
    picture: Image.Image, target: _Written, kind: str, options: Mapping[str, Any], name: str
) -> None:
    try:
        picture.save(cast("IO[bytes]", target), kind, **options)
    except (OSError, ValueError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise BadPicture(f"{name} cannot be finished as {kind}: {error}") from error
