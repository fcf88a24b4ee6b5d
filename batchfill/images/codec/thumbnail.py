"""Small copies of pictures, for looking at many of them."""

from __future__ import annotations

import io
import os
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from math import ceil
from typing import TYPE_CHECKING

from PIL import ImageOps
from PIL.Image import Resampling
from PIL.Image import new as new_image

from batchfill.errors import BadPicture
from batchfill.images.codec.colors import FOREIGN, without_alpha
from batchfill.images.codec.open import open_image, upright_size
from batchfill.regular_files import open_regular
from batchfill.systems import here

if TYPE_CHECKING:
    from pathlib import Path

    from PIL.Image import Image

    from batchfill.catalog.sizes import Size
    from batchfill.domain.drawn_masks import DrawnMask
    from batchfill.domain.enlargement import Enlargement

FOLDER = "thumbs"
"""In the batch folder."""
THUMB, VIEW = "thumb", "view"
LONGEST = {THUMB: 320, VIEW: 1280}
"""Pixels of the longer side: of a picture on the wall, and of one that fills the window."""

QUALITY = 82
_KEY = 32
"""Hex digits of a content's SHA-256 that name its picture: enough that no two ever share them."""
_SPARE = 1.5
"""Times the size of a copy, at least, that a JPEG is decoded at."""


@dataclass(frozen=True, slots=True)
class ThumbTask:
    """A picture and how large its copy may be. Travels to a process; may run twice."""

    file: Path
    sha256: str
    """Of the content that is meant: 64 hex digits."""
    longest: int
    """Pixels of the copy's longer side at most; a smaller picture keeps its size."""
    mask: DrawnMask | None = None
    """What is shown instead of the picture: what is filled of it, in white."""
    canvas: Enlargement | None = None
    """How the canvas grows that it is shown on; what is new is transparent."""
    filled: bool = False
    """Whether what is new is white instead, as it is in a mask."""


def make_thumbnail(task: ThumbTask) -> bytes:
    """Return a WebP of the picture, upright, as the model sees it: its transparency dropped.

    Raises BadPicture: no picture, unreadable, beyond 200 megapixels, or another content than was meant.
    """
    with open_image(io.BytesIO(_read_content(task)), task.file.name) as image:
        profile = None if image.mode in FOREIGN else image.info.get("icc_profile")
        small = _shrink(image, task) if task.mask is None else _show_mask(image, task.mask, task.longest)
        if task.canvas is not None:
            small = _show_canvas(small, upright_size(image), task)
        return _encode(small, profile)


def key_of(sha256: str) -> str:
    """Return what names the picture of this content."""
    return sha256[:_KEY]


def copy_name(key: str, size: str) -> str:
    """Return the name of the file of a picture's copy at one of the sizes."""
    return f"{key}-{size}.webp"


def write_copy(target: Path, content: bytes) -> None:
    """Write a copy whole or not at all; on a full disk the next one who asks has it made again."""
    target.parent.mkdir(exist_ok=True)
    unfinished = target.with_name(f"{target.name}.{os.getpid()}.tmp")
    try:
        unfinished.write_bytes(content)
        here().replace_file(unfinished, target)
    except OSError:
        with suppress(OSError):
            unfinished.unlink(missing_ok=True)
        raise


def keep_thumbnail(folder: Path, sha256: str, picture: Image, profile: bytes | None) -> None:
    """Write the small copy of *picture*, which is at hand and upright, to *folder*, if the disk takes it.

    It is used up. *sha256*: of its file. *profile*: of its colours. A copy that is not there is made
    of the file once it is asked for: see `make_thumbnail`.
    """
    small = _shrink_to(without_alpha(picture, "picture"), LONGEST[THUMB])
    with suppress(OSError):
        write_copy(folder / copy_name(key_of(sha256), THUMB), _encode(small, profile))


def _encode(small: Image, profile: bytes | None) -> bytes:
    written = io.BytesIO()
    small.save(written, "WEBP", quality=QUALITY, method=3, icc_profile=profile, exif=b"")
    return written.getvalue()


def _shrink(image: Image, task: ThumbTask) -> Image:
    # A JPEG is decoded at the half, quarter or eighth that has something to spare.
    share = _SPARE * task.longest / max(image.size)
    image.draft("RGB", (ceil(image.width * share), ceil(image.height * share)))
    return _shrink_to(without_alpha(ImageOps.exif_transpose(image), task.file.name), task.longest)


def _shrink_to(picture: Image, longest: int) -> Image:
    """Return *picture* with no side longer than *longest*; it is used up."""
    picture.thumbnail((longest, longest), Resampling.LANCZOS, reducing_gap=2.0)
    return picture


def _show_canvas(small: Image, own: Size, task: ThumbTask) -> Image:
    """Return *small*, which shows a picture of the *own* size, where it lies on its canvas."""
    assert task.canvas is not None
    placed = task.canvas.place(*own)
    shrink = min(task.longest / max(placed.size), 1)
    size = max(round(placed.size[0] * shrink), 1), max(round(placed.size[1] * shrink), 1)
    left, top, right, bottom = (round(edge * shrink) for edge in placed.box)
    whole = new_image("L", size, 255) if task.filled else new_image("RGBA", size, (0, 0, 0, 0))
    picture = small.convert(whole.mode).resize(
        (max(right - left, 1), max(bottom - top, 1)), Resampling.LANCZOS
    )
    whole.paste(picture, (left, top))
    return whole


def _show_mask(image: Image, mask: DrawnMask, longest: int) -> Image:
    """Return what *mask* fills of *image* in white, no larger than *longest*."""
    if mask.is_alpha:
        small = ImageOps.exif_transpose(image).convert("RGBA").getchannel("A")
        small.thumbnail((longest, longest), Resampling.LANCZOS, reducing_gap=2.0)
        return ImageOps.invert(small)
    from batchfill.images.codec.shapes import fill_shapes  # numpy is loaded for those who need it

    width, height = upright_size(image)
    shrink = min(longest / max(width, height), 1)
    size = max(round(width * shrink), 1), max(round(height * shrink), 1)
    return fill_shapes(mask, size, (size[0] / width, size[1] / height))


def _read_content(task: ThumbTask) -> bytes:
    try:
        with open_regular(task.file) as file:
            content = file.read()
    except OSError as error:
        raise BadPicture(f"{task.file.name} cannot be read: {error.strerror}") from error
    if sha256(content).hexdigest() != task.sha256:
        raise BadPicture(f"{task.file.name} is not the picture any more that it was in this batch")
    return content
