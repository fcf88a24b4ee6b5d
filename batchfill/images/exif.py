"""What a camera says of a picture, for a file that is made of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PIL.ExifTags import Base as Tag

from batchfill.images.opening import BROKEN

if TYPE_CHECKING:
    from PIL.Image import Image

# The pixels of a TIFF are described by the same tags, which would be wrong in another file.
_OF_THE_FILE = frozenset(
    {Tag.NewSubfileType, Tag.SubfileType, Tag.ImageWidth, Tag.ImageLength, Tag.BitsPerSample}
    | {Tag.Compression, Tag.PhotometricInterpretation, Tag.FillOrder, Tag.StripOffsets}
    | {Tag.SamplesPerPixel, Tag.RowsPerStrip, Tag.StripByteCounts, Tag.PlanarConfiguration, Tag.Predictor}
    | {Tag.ColorMap, Tag.TileWidth, Tag.TileLength, Tag.TileOffsets, Tag.TileByteCounts, Tag.SubIFDs}
    | {Tag.ExtraSamples, Tag.SampleFormat, Tag.JPEGTables, Tag.XMLPacket, Tag.InterColorProfile}
)


def kept(picture: Image) -> bytes:
    """Return the EXIF of a decoded *picture* for one made upright of it, without its orientation.

    Empty where there is none, or none that can be written again: that of a picture that decodes is nobody's
    concern when it is broken.
    """
    try:
        found = picture.getexif()
        for tag in {Tag.Orientation, *_OF_THE_FILE} & set(found):
            del found[tag]
        return found.tobytes() if found else b""
    except BROKEN:
        return b""
