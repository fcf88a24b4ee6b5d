"""Pasting an output back: the original, with nothing changed but what was to be filled."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from hashlib import file_digest
from typing import IO, TYPE_CHECKING

from PIL import Image
from PIL.Image import Resampling

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
from batchfill.images.codec.open import apply_orientation, open_image, read_orientation, refuse_animation
from batchfill.images.composite.finished_file import Canvas, Finished, JpegSource, write_finished
from batchfill.images.composite.metadata import keep_exif
from batchfill.images.prepare.enlarge import continue_edges, feather_new, place_canvas
from batchfill.images.prepare.mask import read_mask
from batchfill.images.rights.rights import read_rights
from batchfill.images.rights.xmp import COMPOSITE, SYNTHETIC, Told
from batchfill.regular_files import open_regular

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from batchfill.catalog.pixel_options import Pixels
    from batchfill.catalog.sizes import Size
    from batchfill.domain.enlargement import Enlarged
    from batchfill.domain.rows import Box, LocalFile

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
    """`jpg`, `webp` or `png`; `same`: a JPEG for a JPEG, else PNG, as for None."""
    note: Mapping[str, str]
    """What the file tells of itself, by name; empty for nothing."""


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
    canvas, placed = _read_original(task)
    hole = _read_mask(task, canvas.picture.size, placed)
    if placed is not None:
        canvas = replace(canvas, picture=continue_edges(canvas.picture, placed.size, placed.box[:2]))
    hole = _fill_masked(canvas.picture, hole, task)
    return write_finished(
        task.target, canvas, _place_hole(hole, task, canvas.picture.size), _told(task, hole)
    )


def _told(task: FinishTask, hole: Image.Image) -> Told:
    """Return what the file tells of itself, whose picture is filled where *hole* is not black."""
    everything = task.area is None and hole.getextrema()[0] == 255
    mark = None if task.pixels.mark == "none" else SYNTHETIC if everything else COMPOSITE
    return Told(mark, task.note.get("model", ""), tuple(task.note.items()))


def _place_hole(hole: Image.Image, task: FinishTask, size: Size) -> Image.Image:
    """Return *hole*, which is that of the area, as large as the picture."""
    if task.area is None:
        return hole
    whole = Image.new("L", size)
    whole.paste(hole, task.area[:2])
    return whole


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


def _read_original(task: FinishTask) -> tuple[Canvas, Enlarged | None]:
    """Return the picture upright, in a mode that can be pasted into, what is saved along, and its canvas."""
    name = task.picture.path.name
    with _open_unchanged(task.picture) as content, open_image(content, name) as image:
        refuse_animation(image, name)
        # Before keep_exif takes it away.
        orientation, upright = read_orientation(image), apply_orientation(image)
        placed = place_canvas(task.pixels, upright.size, has_mask=task.mask != NOTHING)
        larger = placed is not None and placed.is_larger
        # The blocks of a JPEG that is enlarged are others: it is kept to the bit as PNG.
        again = not larger and task.format in ("same", "jpg") and image.format in ("JPEG", "MPO")
        picture = upright if again and image.mode == "CMYK" else _convert_for_paste(upright, name)
        foreign = image.mode in FOREIGN and picture.mode != image.mode
        canvas = Canvas(
            name=name,
            picture=picture,
            format="jpg" if again else task.format,
            exif=keep_exif(image, None if placed is None else placed.size),
            profile=None if foreign else image.info.get("icc_profile"),
            rights=read_rights(image, content),
            jpeg=JpegSource.of(image, content, orientation) if again else None,
        )
        return canvas, placed


def _convert_for_paste(image: Image.Image, name: str) -> Image.Image:
    refuse_floats(image, name)
    if image.mode in DEEP:
        return to_16_bits(image, name)
    colours = "L" if image.mode in GREY else "RGB"
    mode = colours + "A" if has_alpha(image) else colours
    # A copy would take as much room again.
    return image if image.mode == mode else image.convert(mode)


def _fill_masked(picture: Image.Image, hole: Image.Image, task: FinishTask) -> Image.Image:
    """Paste the output of *task* into *picture* where *hole*, as large, says; return that of the area."""
    left, top, right, bottom = task.area or (0, 0, *picture.size)
    hole = hole.crop((left, top, right, bottom))
    with open_image(task.raw, task.raw.name) as image:
        image.load()
        output = without_alpha(image, task.raw.name)
    # All of its width at once: Pillow begins with the cheaper direction, another one for another strip.
    output = output.resize((hole.width, output.height), Resampling.LANCZOS)
    for box in _cover_boxes(hole):
        corner = left + box[0], top + box[1]
        _paste_box(picture, _scale_box(output, hole.size, box), hole.crop(box), corner)
    return hole


def _cover_boxes(hole: Image.Image) -> Iterator[Box]:
    """Give boxes that hold all of *hole* that is not black, none of them high."""
    for top in range(0, hole.height, _STRIP):
        box = hole.crop((0, top, hole.width, min(top + _STRIP, hole.height))).getbbox()
        if box is not None:
            yield box[0], top + box[1], box[2], top + box[3]


def _read_mask(task: FinishTask, size: Size, placed: Enlarged | None) -> Image.Image:
    """Return what is filled of a picture of *size*, or of its canvas, fading out or in."""
    if isinstance(task.mask, DrawnMask):
        hole = read_mask(task.mask, task.pixels, task.mask.name, size)
    else:
        with _open_unchanged(task.mask) as content:
            hole = read_mask(content, task.pixels, task.mask.path.name, size)
    if not task.pixels.mask_feather:
        return hole
    if placed is not None:
        return feather_new(hole, placed, task.pixels.mask_feather)
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
