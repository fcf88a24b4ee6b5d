"""Pasting an output back: the original, with nothing changed but what was to be filled."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from hashlib import file_digest
from math import ceil, floor
from typing import IO, TYPE_CHECKING, NamedTuple

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
from batchfill.images.codec.open import (
    apply_orientation,
    open_image,
    read_orientation,
    refuse_animation,
    upright_size,
)
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

    from batchfill.catalog.pixel_options import Pixels
    from batchfill.catalog.sizes import Size
    from batchfill.domain.enlargement import Enlarged
    from batchfill.domain.rows import Box, LocalFile

_STRIP = 256
"""Rows that are filled together: an output scaled up to all of a large picture takes as much room as that."""
_BAND = 1024
"""Columns that are filled together."""
_REACH = 4
"""Pixels on each side that scaling looks at, in the larger of the two sizes: three, and one for rounding."""


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

    def fill_again() -> Image.Image:
        return _fill(fade_hole(read_original(task), task), output, task.area)

    canvas = replace(original.canvas, picture=_fill(original, output, task.area))
    return write_finished(task.target, canvas, original.hole, _told(task, original, canvas), fill_again)


def read_output(path: Path) -> Image.Image:
    """Return an output, its transparency dropped. Raises BadPicture."""
    with open_image(path, path.name) as image:
        image.load()
        plain = without_alpha(image, path.name)
        # Its decoder goes with the file's own picture: that of WebP takes more room than its pixels.
        return plain.copy() if plain is image else plain


def read_original(task: FinishTask) -> DecodedOriginal:
    """Return the original of *task*, its mask as it was sent. Raises BadPicture."""
    name = task.picture.path.name
    with _open_unchanged(task.picture) as content, open_image(content, name) as image:
        refuse_animation(image, name)
        # The mask first: it is small once its black is gone, and has no need of room next to the picture.
        size = upright_size(image)
        placed = place_canvas(task.pixels, size, has_mask=task.mask != NOTHING)
        hole = _read_mask(task, size)
        return DecodedOriginal(_read_canvas(task, content, image, placed), size, placed, hole)


def fade_hole(original: DecodedOriginal, task: FinishTask) -> DecodedOriginal:
    """Return *original* with its mask fading out, or its canvas fading in, within what was sent."""
    reach, placed, hole = task.pixels.mask_feather, original.placed, original.hole
    if reach and placed is not None:
        hole = Hole.of(feather_new(hole.crop((0, 0, *placed.size)), placed, reach))
    elif reach:
        hole = hole.fade(reach, original.size)
    return original._replace(hole=hole if task.area is None else hole.within(task.area))


def _told(task: FinishTask, original: DecodedOriginal, canvas: Canvas) -> Told:
    """Return what the file tells of itself."""
    filled, size = original.hole, canvas.picture.size
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


def _read_canvas(task: FinishTask, content: IO[bytes], image: Image.Image, placed: Enlarged | None) -> Canvas:
    """Return the picture upright, in a mode that can be pasted into, and what is saved along."""
    name = task.picture.path.name
    # Before keep_exif takes it away.
    orientation, upright = read_orientation(image), apply_orientation(image)
    larger = placed is not None and placed.is_larger
    # The blocks of a JPEG that is enlarged are others: it is kept to the bit as PNG.
    again = not larger and task.format in ("same", "jpg") and image.format in ("JPEG", "MPO")
    picture = upright if again and image.mode == "CMYK" else _convert_for_paste(upright, name)
    foreign = image.mode in FOREIGN and picture.mode != image.mode
    return Canvas(
        name=name,
        picture=picture,
        format="jpg" if again else task.format,
        exif=keep_exif(image, None if placed is None else placed.size),
        profile=None if foreign else image.info.get("icc_profile"),
        rights=read_rights(image, content),
        jpeg=JpegSource.of(image, content, orientation) if again else None,
    )


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


def _fill(original: DecodedOriginal, output: Image.Image, area: Box | None) -> Image.Image:
    """Return the picture of *original*, on its canvas where it has one, with *output* where it is filled.

    *area*: what was sent of it.
    """
    picture, placed, hole = original.canvas.picture, original.placed, original.hole
    if placed is not None:
        picture = continue_edges(picture, placed.size, placed.box[:2])
    left, top, right, bottom = area or (0, 0, *picture.size)
    for first, last in _bands(hole.box):
        # All of its height at once: Pillow begins with the cheaper direction, another one for another strip.
        columns = _scale_across(output, right - left, (first - left, last - left))
        for box in _cover_boxes(hole, first, last):
            inner = box[0] - first, box[1] - top, box[2] - first, box[3] - top
            _paste_box(picture, _scale_down(columns, bottom - top, inner), hole.crop(box), box)
    return picture


def _bands(box: Box) -> Iterator[Size]:
    """Give from where to where the columns of *box* go, few enough of them to take little room."""
    for first in range(box[0], box[2], _BAND):
        yield first, min(first + _BAND, box[2])


def _cover_boxes(hole: Hole, left: int, right: int) -> Iterator[Box]:
    """Give boxes that hold all of *hole* in these columns that is not black, none of them high."""
    _, first, _, last = hole.box
    for top in range(first, last, _STRIP):
        box = hole.crop((left, top, right, min(top + _STRIP, last))).getbbox()
        if box is not None:
            yield left + box[0], top + box[1], left + box[2], top + box[3]


def _scale_across(output: Image.Image, width: int, columns: Size) -> Image.Image:
    """Return the *columns*, from one to before another, of *output* once it is *width* wide: only they are
    made."""
    first, last = columns
    if output.width == width:
        return output.crop((first, 0, last, output.height))
    source = first * output.width / width, 0, last * output.width / width, output.height
    return output.resize((last - first, output.height), Resampling.LANCZOS, source)


def _scale_down(columns: Image.Image, height: int, box: Box) -> Image.Image:
    """Return *box* of *columns* once they are *height* high: it alone is made."""
    left, first, right, last = box
    if columns.height == height:
        return columns.crop(box)
    share = columns.height / height
    reach = ceil(_REACH * max(share, 1))
    low, high = floor(first * share) - reach, ceil(last * share) + reach
    low, high = max(low, 0), min(high, columns.height)
    part = columns.crop((left, low, right, high))
    source = 0, first * share - low, part.width, last * share - low
    return part.resize((part.width, last - first), Resampling.LANCZOS, source)


def _paste_box(picture: Image.Image, filled: Image.Image, hole: Image.Image, box: Box) -> None:
    """Paste *filled* into *box* of *picture* where *hole*, of the same size, is not black."""
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
