"""Pasting an output back: the original, with nothing changed but what was to be filled."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from hashlib import file_digest
from typing import IO, TYPE_CHECKING, NamedTuple

from batchfill.domain.drawn_masks import NOTHING, DrawnMask
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
from batchfill.images.codec.open import (
    apply_orientation,
    open_image,
    read_orientation,
    refuse_animation,
    upright_size,
)
from batchfill.images.composite.filling import Filling
from batchfill.images.composite.finished_file import Canvas, Finished, JpegSource, write_finished
from batchfill.images.composite.metadata import keep_exif
from batchfill.images.prepare.enlarge import continue_edges, feather_new, place_canvas
from batchfill.images.prepare.hole import Hole
from batchfill.images.prepare.mask import read_mask
from batchfill.images.rights.rights import read_rights
from batchfill.images.rights.xmp import COMPOSITE, SYNTHETIC, Told
from batchfill.regular_files import open_regular

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from PIL import Image

    from batchfill.catalog.pixel_options import Pixels
    from batchfill.catalog.sizes import Size
    from batchfill.domain.enlargement import Enlarged
    from batchfill.domain.rows import Box, LocalFile


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
    """`jpg`, `webp` or `png`; `same`: a JPEG for a JPEG, else PNG, as for None."""
    note: Mapping[str, str]
    """What the file tells of itself, by name; empty for nothing."""
    thumbs: Path | None = None
    """The folder that takes a small copy, since the picture is at hand; None: none is wanted."""


class DecodedOriginal(NamedTuple):
    """A picture, decoded, and what is filled of it."""

    canvas: Canvas
    """The picture itself, upright, in a mode that can be pasted into, and what is saved along."""
    size: Size
    """That of the upright picture."""
    placed: Enlarged | None
    hole: Hole
    """What is filled, as it was sent or faded: of a picture that is enlarged, the canvas's."""


def make_composite(task: FinishTask) -> Finished:
    """Write the finished picture of *task*.

    The original at its own size, mode and depth, with its alpha, colour profile, EXIF, XMP and IPTC; every
    pixel that the grown and feathered mask leaves black is the original's, to the bit in PNG and WebP. What
    the mask fills is opaque. One that is enlarged lies on its canvas: its pixels outside of the mask stay,
    and what is new fades in beyond them. A JPEG of any other JPEG is as it was stored, turned or not, and
    keeps every coefficient of the blocks that the mask does not touch; where that cannot be done, it is
    encoded whole, as the answer says. All others are upright.
    Pictures with a palette become RGB, of other colour spaces too (without their profile, unless as JPEG of
    JPEG), of two greys greys; of colours with 16 bits 8 are read. Raises BadPicture when a file cannot be
    read or is not the one that was sent, or when no format takes the picture; OSError when the disk does not
    take it.
    """
    return compose(fade_hole(read_original(task), task), read_output(task.raw), task)


def compose(original: DecodedOriginal, output: Image.Image, task: FinishTask) -> Finished:
    """Write the finished picture of *task*, whose files are *original* and *output*; see `make_composite`.

    *original* is faded; its picture is used up.
    """
    canvas = original.canvas
    if original.placed is not None and canvas.picture is not None:
        whole = continue_edges(canvas.picture, canvas.size, original.placed.box[:2])
        canvas = replace(canvas, picture=whole)
    filling = Filling(output, original.hole, task.area or (0, 0, *canvas.size))
    return write_finished(task.target, canvas, filling, _told(task, original), task.thumbs)


def read_output(path: Path) -> Image.Image:
    """Return an output, its transparency dropped. Raises BadPicture."""
    with open_image(path, path.name) as image:
        image.load()
        plain = without_alpha(image, path.name)
        # Its decoder goes with the file's own picture: that of WebP takes more room than its pixels.
        return plain.copy() if plain is image else plain


def read_original(task: FinishTask) -> DecodedOriginal:
    """Return the original of *task*, its mask as it was sent. Raises BadPicture, OSError on a full disk."""
    name = task.picture.path.name
    with _open_unchanged(task.picture) as content:
        with open_image(content, name) as image:
            refuse_animation(image, name)
            size = upright_size(image)
            placed = place_canvas(task.pixels, size, has_mask=task.mask != NOTHING)
            jpeg = _read_jpeg(task, content, image, placed)
        # What needs the most room first, then the mask, which is small once its black is gone.
        jpeg = None if jpeg is None else jpeg.read_blocks(task.target.parent)
        hole = _read_mask(task, size)
        content.seek(0)
        with open_image(content, name) as image:
            return DecodedOriginal(_read_canvas(task, content, image, placed, jpeg), size, placed, hole)


def fade_hole(original: DecodedOriginal, task: FinishTask) -> DecodedOriginal:
    """Return *original* with its mask fading out, or its canvas fading in, within what was sent."""
    reach, placed, hole = task.pixels.mask_feather, original.placed, original.hole
    if reach and placed is not None:
        hole = Hole.of(feather_new(hole.crop((0, 0, *placed.size)), placed, reach))
    elif reach:
        hole = hole.fade(reach, original.size)
    return original._replace(hole=hole if task.area is None else hole.within(task.area))


def _told(task: FinishTask, original: DecodedOriginal) -> Told:
    """Return what the file tells of itself."""
    filled, size = original.hole, original.canvas.size
    whole = task.area is None and filled.box == (0, 0, *size)
    everything = whole and filled.greys.getextrema()[0] == 255
    mark = None if task.pixels.mark == "none" else SYNTHETIC if everything else COMPOSITE
    return Told(mark, task.note.get("model", ""), tuple(task.note.items()))


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


def _read_jpeg(
    task: FinishTask, content: IO[bytes], image: Image.Image, placed: Enlarged | None
) -> JpegSource | None:
    """Return the opened *image* in *content* as what becomes a JPEG again; None: it does not."""
    larger = placed is not None and placed.is_larger
    # The blocks of a JPEG that is enlarged are others: it is kept to the bit as PNG.
    again = not larger and task.format in ("same", "jpg") and image.format in ("JPEG", "MPO")
    return JpegSource.of(image, content, read_orientation(image)) if again else None


def _read_canvas(
    task: FinishTask,
    content: IO[bytes],
    image: Image.Image,
    placed: Enlarged | None,
    jpeg: JpegSource | None,
) -> Canvas:
    """Return the picture upright, in a mode to be pasted into, and what is saved along."""
    name, size = task.picture.path.name, upright_size(image)
    # Of a JPEG whose blocks are exchanged, those alone are decoded, and what is judged.
    undecoded = jpeg is not None and jpeg.exchange is not None
    # Before keep_exif takes the orientation away.
    picture = None if undecoded else _decode_for_paste(image, name, again=jpeg is not None)
    mode = image.mode if picture is None else picture.mode
    return Canvas(
        name=name,
        size=size if placed is None else placed.size,
        picture=picture,
        format=task.format if jpeg is None else "jpg",
        exif=keep_exif(image, None if placed is None else placed.size),
        profile=None if image.mode in FOREIGN and mode != image.mode else image.info.get("icc_profile"),
        rights=read_rights(image, content),
        jpeg=jpeg,
    )


def _decode_for_paste(image: Image.Image, name: str, *, again: bool) -> Image.Image:
    """Return *image* upright, in a mode that can be pasted into; *again*: it becomes a JPEG of a JPEG."""
    upright = apply_orientation(image)
    return upright if again and image.mode == "CMYK" else _convert_for_paste(upright, name)


def _convert_for_paste(image: Image.Image, name: str) -> Image.Image:
    refuse_floats(image, name)
    if image.mode in DEEP:
        return to_16_bits(image, name)
    colours = "L" if image.mode in GREY else "RGB"
    mode = colours + "A" if has_alpha(image) else colours
    # A copy would take as much room again.
    return image if image.mode == mode else image.convert(mode)


def _read_mask(task: FinishTask, size: Size) -> Hole:
    """Return what is filled of a picture of *size*, or of its canvas."""
    if isinstance(task.mask, DrawnMask):
        return Hole.of(read_mask(task.mask, task.pixels, task.mask.name, size))
    with _open_unchanged(task.mask) as content:
        return Hole.of(read_mask(content, task.pixels, task.mask.path.name, size))
