"""Metadata of finished files: the camera's, and what batchfill adds."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from PIL.ExifTags import Base as Tag
from PIL.PngImagePlugin import PngInfo

from batchfill.images.codec.open import BROKEN

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from PIL.Image import Image


_PACKET = """<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:batchfill="urn:batchfill:1">
<dc:description><rdf:Alt><rdf:li xml:lang="x-default">{prompt}</rdf:li></rdf:Alt></dc:description>
{fields}
</rdf:Description></rdf:RDF></x:xmpmeta>
<?xpacket end="r"?>"""

_UNTOLD = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What no XML holds, and no text of a PNG: control characters, halves of surrogate pairs."""


def write_metadata(kind: str, note: Mapping[str, str]) -> dict[str, Any]:
    """Return the options with which Pillow saves *note* in a file of *kind*; its names are words.

    PNG has a text for each name; JPEG and WebP have an XMP packet, the prompt in it also as `dc:description`.
    Control characters are left out.
    """
    told = {name: _UNTOLD.sub("", text) for name, text in note.items()}
    if not told:
        return {}
    if kind == "PNG":
        info = PngInfo()
        for name, text in told.items():
            info.add_itxt(name, text)
        return {"pnginfo": info}
    fields = "\n".join(
        f"<batchfill:{name}>{_escape_xml(text)}</batchfill:{name}>" for name, text in told.items()
    )
    return {"xmp": _PACKET.format(prompt=_escape_xml(told.get("prompt", "")), fields=fields).encode()}


def _escape_xml(text: str) -> str:
    # Readers of XML take a bare carriage return for a new line.
    return escape(text, {"\r": "&#13;"})


# The pixels of a TIFF are described by the same tags, which would be wrong in another file.
_OF_THE_FILE = frozenset(
    {Tag.NewSubfileType, Tag.SubfileType, Tag.ImageWidth, Tag.ImageLength, Tag.BitsPerSample}
    | {Tag.Compression, Tag.PhotometricInterpretation, Tag.FillOrder, Tag.StripOffsets}
    | {Tag.SamplesPerPixel, Tag.RowsPerStrip, Tag.StripByteCounts, Tag.PlanarConfiguration, Tag.Predictor}
    | {Tag.ColorMap, Tag.TileWidth, Tag.TileLength, Tag.TileOffsets, Tag.TileByteCounts, Tag.SubIFDs}
    | {Tag.ExtraSamples, Tag.SampleFormat, Tag.JPEGTables, Tag.XMLPacket, Tag.InterColorProfile}
)


def keep_exif(picture: Image) -> bytes:
    """Return the EXIF of a decoded *picture* for one made upright of it, without its orientation.

    Empty where there is none, or none that can be written again: that of a picture that decodes is no user's
    concern when it is broken.
    """
    try:
        found = picture.getexif()
        for tag in {Tag.Orientation, *_OF_THE_FILE} & set(found):
            del found[tag]
        return found.tobytes() if found else b""
    except BROKEN:
        return b""
