"""Metadata of finished files: the camera's, and what batchfill adds."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from PIL.ExifTags import IFD
from PIL.ExifTags import Base as Tag
from PIL.PngImagePlugin import PngInfo

from batchfill.images.codec.open import BROKEN
from batchfill.images.composite.exif_thumbnail import replace_thumbnail
from batchfill.images.rights.iptc import iptc_fields
from batchfill.images.rights.jpeg_segments import (
    ADOBE,
    APP0,
    COMMENT,
    EXIF_OR_XMP,
    PROFILE,
    Segment,
    join_segment,
)
from batchfill.images.rights.photoshop import as_raw_profile
from batchfill.images.rights.rights import EXIF, MAIN, Rights, extra_segments, merge_rights
from batchfill.images.rights.xmp import Told, clean_text

if TYPE_CHECKING:
    from typing import Any

    from PIL.Image import Image

    from batchfill.catalog.sizes import Size
    from batchfill.images.composite.jpeg_blocks import Exchange

NO_RIGHTS = Rights()


def write_metadata(kind: str, told: Told, rights: Rights = NO_RIGHTS) -> dict[str, Any]:
    """Return the options with which Pillow saves what is *told*, and *rights*, in an upright file of *kind*.

    All formats have an XMP packet; PNG also a text for each name of the note, and IPTC as programs keep it
    there. WebP has no place for IPTC, which its XMP tells instead.
    """
    if kind == "WEBP":
        told = replace(told, fields=iptc_fields(rights.resources))
    packet = merge_rights(rights, told, extension=kind == "JPEG")
    if kind == "PNG":
        return {"pnginfo": _texts(packet, told, rights)}
    if kind == "JPEG":
        return {"xmp": packet, "extra": b"".join(map(join_segment, extra_segments(rights)))}
    return {"xmp": packet}


def _texts(packet: bytes, told: Told, rights: Rights) -> PngInfo:
    info = PngInfo()
    for name, text in told.note:
        info.add_itxt(name, clean_text(text))
    if packet:
        info.add_itxt("XML:com.adobe.xmp", packet.decode(errors="replace"))
    if iptc := as_raw_profile(rights.resources):
        info.add_text("Raw profile type iptc", iptc)
    return info


def jpeg_head(exchange: Exchange, rights: Rights, packet: bytes) -> list[Segment]:
    """Return what the JPEG of *exchange*, which is filled, tells; it stays as it was stored.

    The original's EXIF (its thumbnail made new), profile, comments and *rights*, and the XMP *packet*. Other
    segments are left out: they may hold the old picture once more, small, in depth or sharper.
    """
    kept = [s for s in exchange.about if any(s.marker == m and s.payload.startswith(p) for m, p in _KEPT)]
    head = [_refreshed(segment, exchange) for segment in kept]
    # JFIF and EXIF want to be first.
    at = sum(1 for s in head[:2] if s.payload.startswith((_JFIF, EXIF)))
    told = [Segment(EXIF_OR_XMP, MAIN + packet)] if packet else []
    return [*head[:at], *told, *extra_segments(rights), *head[at:]]


_JFIF, _THUMBNAIL_AT = b"JFIF\0", 12
_KEPT = (
    (APP0, _JFIF),
    (EXIF_OR_XMP, EXIF),
    (PROFILE, b"ICC_PROFILE\0"),
    (ADOBE, b"Adobe"),
    (COMMENT, b""),
)
"""Segments that stay, by marker and beginning."""


def _refreshed(segment: Segment, exchange: Exchange) -> Segment:
    if segment.payload.startswith(_JFIF):
        return segment._replace(payload=segment.payload[:_THUMBNAIL_AT] + b"\0\0")
    if segment.payload.startswith(EXIF) and segment.marker == EXIF_OR_XMP:
        exif = replace_thumbnail(segment.payload[len(EXIF) :], exchange.shrink)
        return segment._replace(payload=EXIF + exif)
    return segment


# The pixels of a TIFF are described by the same tags, which would be wrong in another file.
_OF_THE_FILE = frozenset(
    {Tag.NewSubfileType, Tag.SubfileType, Tag.ImageWidth, Tag.ImageLength, Tag.BitsPerSample}
    | {Tag.Compression, Tag.PhotometricInterpretation, Tag.FillOrder, Tag.StripOffsets}
    | {Tag.SamplesPerPixel, Tag.RowsPerStrip, Tag.StripByteCounts, Tag.PlanarConfiguration, Tag.Predictor}
    | {Tag.ColorMap, Tag.TileWidth, Tag.TileLength, Tag.TileOffsets, Tag.TileByteCounts, Tag.SubIFDs}
    | {Tag.ExtraSamples, Tag.SampleFormat, Tag.JPEGTables, Tag.XMLPacket, Tag.InterColorProfile}
)


def keep_exif(picture: Image, size: Size | None = None) -> bytes:
    """Return the EXIF of a decoded *picture* for one made upright of it, without its orientation.

    *size*: that of the one made, where it is another.
    Empty where there is none, or none that can be written again: that of a picture that decodes is no user's
    concern when it is broken.
    """
    try:
        found = picture.getexif()
        for tag in {Tag.Orientation, *_OF_THE_FILE} & set(found):
            del found[tag]
        if size is not None:
            _write_size(found.get_ifd(IFD.Exif), size)
        return found.tobytes() if found else b""
    except BROKEN:
        return b""


def _write_size(details: dict[int, Any], size: Size) -> None:
    """Correct the width and height that the camera wrote into its *details*."""
    for tag, length in zip((Tag.ExifImageWidth, Tag.ExifImageHeight), size, strict=True):
        if tag in details:
            details[tag] = length
