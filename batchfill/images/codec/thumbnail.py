"""Small copies of pictures, for looking at many of them."""

from __future__ import annotations

import io
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

from PIL import ImageOps
from PIL.Image import Resampling

from batchfill.errors import BadPicture
from batchfill.images.codec.colors import FOREIGN, without_alpha
from batchfill.images.codec.open import open_image
from batchfill.regular_files import open_regular

if TYPE_CHECKING:
    from pathlib import Path

QUALITY = 82


@dataclass(frozen=True, slots=True)
class ThumbTask:
    """A picture and how large its copy may be. Travels to a process; may run twice."""

    file: Path
    sha256: str
    """Of the content that is meant: 64 hex digits."""
    longest: int
    """Pixels of the copy's longer side at most; a smaller picture keeps its size."""


def make_thumbnail(task: ThumbTask) -> bytes:
    """Return a WebP of the picture, upright, as the model sees it: its transparency dropped.

    Raises BadPicture: no picture, unreadable, beyond 200 megapixels, or another content than was meant.
    """
    name = task.file.name
    content = _read_content(task)
    with open_image(io.BytesIO(content), name) as image:
        profile = None if image.mode in FOREIGN else image.info.get("icc_profile")
        # A JPEG is decoded at the half, quarter or eighth that is still twice as large as needed.
        image.draft("RGB", (2 * task.longest, 2 * task.longest))
        small = without_alpha(ImageOps.exif_transpose(image), name)
        small.thumbnail((task.longest, task.longest), Resampling.LANCZOS, reducing_gap=2.0)
        written = io.BytesIO()
        small.save(written, "WEBP", quality=QUALITY, method=3, icc_profile=profile, exif=b"")
    return written.getvalue()


def _read_content(task: ThumbTask) -> bytes:
    try:
        with open_regular(task.file) as file:
            content = file.read()
    except OSError as error:
        raise BadPicture(f"{task.file.name} cannot be read: {error.strerror}") from error
    if sha256(content).hexdigest() != task.sha256:
        raise BadPicture(f"{task.file.name} is not the picture any more that it was in this batch")
    return content
