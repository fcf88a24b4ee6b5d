"""The file that a finished picture becomes: its format, and all that is saved along with its pixels."""

from __future__ import annotations

import io
import os
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import IO, TYPE_CHECKING, Any, cast

from PIL.JpegImagePlugin import get_sampling

from batchfill.domain.predictions import Picture
from batchfill.errors import BadPicture
from batchfill.images.codec.colors import FOREIGN
from batchfill.images.codec.open import SUFFIXES, apply_orientation, is_turned, open_image
from batchfill.images.codec.thumbnail import LONGEST, THUMB, keep_thumbnail
from batchfill.images.composite.jpeg_frame import CannotExchange
from batchfill.images.composite.metadata import jpeg_head, write_metadata
from batchfill.images.rights.jpeg_segments import END, START, join_segment
from batchfill.images.rights.rights import EXIF, LONGEST_PACKET, Rights, merge_rights

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from PIL.Image import Image
    from PIL.PngImagePlugin import PngInfo

    from batchfill.catalog.sizes import Size
    from batchfill.images.composite.filling import Filling
    from batchfill.images.composite.jpeg_blocks import Exchange
    from batchfill.images.rights.xmp import Told

QUALITY = 95
"""Of a JPEG of no JPEG, whose pixels outside the mask are nearly the original's: 47 dB, two thirds of a
grey level."""

_FORMATS = {"jpg": "JPEG", "webp": "WEBP"}
_OPTIONS: Mapping[str, Mapping[str, Any]] = {
    "PNG": {},
    # Comments are no EXIF, and those of other formats may be too long.
    "JPEG": {"quality": QUALITY, "subsampling": 0, "comment": b""},
    # More method takes four times as long and half as much memory again, for a few per cent either way.
    "WEBP": {"lossless": True, "quality": 20, "method": 0, "exact": True},
}
BLOCKS = "jpeg-blocks"
"""How a JPEG was made all of whose blocks are the original's, but for those that the mask touches."""


@dataclass(frozen=True, slots=True)
class Finished:
    """A finished file, at its task's target."""

    size: int
    """Bytes."""
    sha256: str
    picture: Picture
    made_as: str
    """BLOCKS, or `png`, `webp`, `jpeg`; then, after a colon, why it is not what was asked for."""


@dataclass(frozen=True, slots=True)
class JpegSource:
    """An original that is a JPEG, to become one again."""

    content: bytes = field(repr=False)
    exchange: Exchange | None
    """None: its blocks cannot be exchanged."""
    why: str
    """Why they cannot."""
    tables: Mapping[int, list[int]]
    """Of quantisation, by number."""
    sampling: int
    """Pillow's number of it; -1: none that Pillow writes."""

    @classmethod
    def of(cls, image: Image, file: IO[bytes], orientation: int) -> JpegSource:
        """Return the source of the opened *image* in *file*, whose position stays."""
        from batchfill.images.composite.jpeg_blocks import Exchange  # numpy is loaded for those who need it

        sampling, tables = get_sampling(image), getattr(image, "quantization", {})
        before = file.tell()
        file.seek(0)
        content = file.read()
        file.seek(before)
        try:
            return cls(content, Exchange(content, orientation), "", tables, sampling)
        except CannotExchange as error:
            return cls(content, None, str(error), tables, sampling)

    def read_blocks(self, folder: Path) -> JpegSource:
        """Return it with its blocks read, or without an exchange where they are damaged.

        *folder* takes files meanwhile. Raises OSError when the disk is full.
        """
        try:
            if self.exchange is not None:
                self.exchange.read(folder)
        except CannotExchange as error:
            return replace(self, exchange=None, why=str(error))
        return self

    @property
    def options(self) -> dict[str, Any]:
        """The options with which Pillow encodes another picture as this one is."""
        # A table of two that is named by another number than its place would be written as another.
        tables = [self.tables[number] for number in sorted(self.tables)]
        return {"quality": -1, "qtables": tables, "subsampling": max(self.sampling, 0)} if tables else {}

    def decode(self, name: str, least: Size | None = None) -> Image:
        """Return the picture upright, in its own mode; as small as it can be with *least* pixels, if given.

        Raises BadPicture, beginning with *name*.
        """
        with open_image(io.BytesIO(self.content), name) as image:
            if least is not None:
                image.draft(None, least[::-1] if is_turned(image) else least)
            return apply_orientation(image)


@dataclass(frozen=True, slots=True)
class Canvas:
    """A picture that is filled, and what is saved along with it."""

    name: str
    """What messages call it."""
    size: Size
    """Of the whole canvas, upright."""
    picture: Image | None
    """Upright; None: of a JPEG that is not decoded yet."""
    format: str | None
    """`jpg` or `webp`; else PNG."""
    exif: bytes
    """For an upright picture."""
    profile: bytes | None
    rights: Rights
    jpeg: JpegSource | None
    """None: it is not to become a JPEG of a JPEG."""


def write_finished(
    target: Path, canvas: Canvas, filling: Filling, told: Told, thumbs: Path | None
) -> Finished:
    """Write *canvas* with *filling* to *target*, flushed to disk. Uses its picture up.

    *thumbs*: the folder that takes a small copy; None: none is wanted.
    Raises BadPicture when no format takes the picture, OSError when the disk does not take it.
    """
    why, jpeg = "", canvas.jpeg
    if jpeg is not None:
        try:
            return _write_blocks(target, canvas, jpeg, filling, told, thumbs)
        except CannotExchange as error:
            why = f"encoded whole, {error}"
    picture = canvas.picture
    if picture is None:
        assert jpeg is not None
        picture = jpeg.decode(canvas.name)
    filling.fill(picture)
    finished = _write_whole(target, canvas, picture, told, why)
    if thumbs is not None:
        keep_thumbnail(thumbs, finished.sha256, picture, _thumbnail_profile(canvas, picture))
    return finished


def _write_whole(target: Path, canvas: Canvas, picture: Image, told: Told, why: str) -> Finished:
    """Write *picture*, that of *canvas*, in the format that it asks for, or in PNG.

    *why*: what is known to be in the way.
    """
    wanted = kind = _FORMATS.get(canvas.format or "", "PNG")
    for kind, told_now in _attempts(wanted, told, again=canvas.jpeg is not None):
        options = _save_options(kind, canvas, told_now)
        if (misfit := _misfit(kind, picture, options)) is None:
            break
        why = misfit
    with target.open("wb") as file:
        written = _Written(file)
        _save_picture(picture, written, kind, options, canvas.name)
        written.flush()
    made_as = ": ".join(filter(None, (kind.lower(), why)))
    return Finished(
        written.size, written.digest.hexdigest(), _shown(kind, picture.size, picture.mode), made_as
    )


def _attempts(kind: str, told: Told, *, again: bool) -> Iterator[tuple[str, Told]]:
    """Give formats and what is told in each, the one that is wanted first; *again*: a JPEG is to stay one."""
    yield kind, told
    if again:
        yield kind, replace(told, note=())
    yield "PNG", told


def _thumbnail_profile(canvas: Canvas, picture: Image) -> bytes | None:
    return None if picture.mode in FOREIGN else canvas.profile


def _write_blocks(
    target: Path, canvas: Canvas, jpeg: JpegSource, filling: Filling, told: Told, thumbs: Path | None
) -> Finished:
    """Write the original with the blocks exchanged that are filled. Raises CannotExchange."""
    exchange = jpeg.exchange
    if exchange is None:
        raise CannotExchange(jpeg.why)
    packet = _fitting_packet(canvas.rights, told)
    exchange.fill(filling.hole, filling.paint, target.parent)
    head = jpeg_head(exchange, canvas.rights, packet)
    made = exchange.write(target.parent)
    with target.open("wb") as file:
        written = _Written(file)
        for part in (START, *map(join_segment, [*head, *made]), END):
            written.write(part)
        written.flush()
    shown = _shown("JPEG", canvas.size, exchange.frame.mode)
    finished = Finished(written.size, written.digest.hexdigest(), shown, BLOCKS)
    if thumbs is not None:
        small = exchange.show(LONGEST[THUMB])
        keep_thumbnail(thumbs, finished.sha256, small, _thumbnail_profile(canvas, small))
    return finished


def _fitting_packet(rights: Rights, told: Told) -> bytes:
    """Return the XMP of a JPEG that stays as it was stored. Raises CannotExchange where it is too long."""
    for told_now in (told, replace(told, note=())):
        packet = merge_rights(rights, told_now, extension=True, upright=False)
        if len(packet) <= LONGEST_PACKET:
            return packet
    raise CannotExchange("its XMP is too long")


def _shown(kind: str, size: Size, mode: str) -> Picture:
    return Picture(kind, SUFFIXES[kind], *size, mode)


def _save_options(kind: str, canvas: Canvas, told: Told) -> dict[str, Any]:
    own = canvas.jpeg.options if canvas.jpeg is not None and kind == "JPEG" else {}
    along = {"exif": canvas.exif, "icc_profile": canvas.profile}
    return {**_OPTIONS[kind], **own, **along, **write_metadata(kind, told, canvas.rights)}


def _misfit(kind: str, picture: Image, options: Mapping[str, Any]) -> str | None:
    """Return why no file of *kind* holds all of *picture* and of what is saved with it; None: it does."""
    modes, longest = _LIMITS.get(kind, (None, 0))
    if modes is None:
        return None
    if picture.mode not in modes:
        return f"{kind} does not hold {_MODES.get(picture.mode, picture.mode)}"
    if max(picture.size) > longest:
        return f"{kind} is {longest} pixels long at most"
    if kind == "JPEG" and max(len(options["exif"]) + 1, len(options["xmp"])) > LONGEST_PACKET:
        return "JPEG does not hold so much EXIF or XMP"
    return None


_LIMITS = {"JPEG": (("L", "RGB", "CMYK"), 65_500), "WEBP": (("RGB", "RGBA"), 16_383)}
"""The modes that a format holds here, and the pixels of its longer side."""
_MODES = {"L": "greys", "LA": "transparency", "RGBA": "transparency", "I;16": "16 bits", "CMYK": "inks"}


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

    def flush(self) -> None:
        """Return when all of it is on the disk."""
        self._file.flush()
        os.fsync(self._file.fileno())


def _save_picture(picture: Image, target: _Written, kind: str, options: Mapping[str, Any], name: str) -> None:
    if kind == "PNG":
        _save_png(picture, target, **options)
        return
    try:
        picture.save(cast("IO[bytes]", target), kind, **options)
    except (OSError, ValueError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise BadPicture(f"{name} cannot be finished as {kind}: {error}") from error


def _save_png(
    picture: Image, target: _Written, *, exif: bytes, icc_profile: bytes | None, pnginfo: PngInfo
) -> None:
    """Write *picture* and what goes along, as Pillow would, but for how it is packed."""
    from batchfill.images.codec.png_packer import image_strips, profile_chunks, write_png  # for numpy, too

    chunks = profile_chunks(icc_profile)
    # One grey of 16 bits that stands for transparency: others have become an alpha channel.
    if isinstance(key := picture.info.get("transparency"), int):
        chunks.append((b"tRNS", key.to_bytes(2)))
    chunks += [(chunk[0], chunk[1]) for chunk in pnginfo.chunks]
    if exif:
        chunks.append((b"eXIf", exif.removeprefix(EXIF)))
    write_png(cast("IO[bytes]", target), picture.size, picture.mode, image_strips(picture), chunks=chunks)
