"""What a picture says of whose it is: read from any format, to be written along with a finished one."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from hashlib import md5
from typing import IO, TYPE_CHECKING

from PIL.ExifTags import Base as Tag

from batchfill.images.codec.open import BROKEN
from batchfill.images.rights import jpeg_segments, photoshop, xmp
from batchfill.images.rights.chunks import png_chunk_names, webp_chunk_names
from batchfill.images.rights.jpeg_segments import Segment

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from PIL.Image import Image

    from batchfill.images.rights.photoshop import Resource

EXIF = b"Exif\0\0"
MAIN, EXTENSION = b"http://ns.adobe.com/xap/1.0/\0", b"http://ns.adobe.com/xmp/extension/\0"
"""How the segments of a JPEG begin that hold XMP: its packet, and what of it needs more room than one has."""

LONGEST_PACKET = jpeg_segments.LONGEST - len(MAIN)
_PART = 65_400
"""Bytes of an extension in one segment."""
_MOST_EXTENDED = 1 << 24
"""Bytes of an extension that are taken along at most."""

_TIFF_CREDENTIALS = 0xCD41
_CREDENTIALS = {"PNG": (png_chunk_names, b"caBX"), "WEBP": (webp_chunk_names, b"C2PA")}


@dataclass(frozen=True, slots=True)
class Rights:
    """What an original says of its makers and of its making, apart from its EXIF."""

    packet: bytes = b""
    """Its XMP; empty without any."""
    extension: bytes = b""
    """XMP that a JPEG holds apart from its packet; without what is no longer true."""
    resources: tuple[Resource, ...] = ()
    """Of Photoshop, IPTC among them."""
    credentials: bool = False
    """Whether it has Content Credentials, which hold for its own pixels only."""

    @property
    def digest(self) -> str:
        """What joins a packet to its extension; empty without one."""
        return md5(self.extension, usedforsecurity=False).hexdigest().upper() if self.extension else ""

    @property
    def described(self) -> bool:
        """Whether there may be a caption."""
        return any(resource.number == photoshop.IPTC for resource in self.resources)


def read_rights(image: Image, file: IO[bytes]) -> Rights:
    """Return the rights of the opened *image* in *file*; what cannot be read is not there."""
    if image.format in ("JPEG", "MPO"):
        return rights_of(jpeg_segments.read_head(file))
    packet = image.info.get("xmp") or b""
    packet = packet.encode() if isinstance(packet, str) else bytes(packet)
    if image.format == "TIFF":
        return _rights_of_tiff(image)
    raw = image.info.get("Raw profile type iptc")
    resources = photoshop.read_raw_profile(raw) if isinstance(raw, str) else ()
    return Rights(packet, resources=resources, credentials=has_credentials(image, file))


def has_credentials(image: Image, file: IO[bytes]) -> bool:
    """Whether the opened *image* in *file* has Content Credentials."""
    if image.format in ("JPEG", "MPO"):
        return any(map(_is_credentials, jpeg_segments.read_head(file)))
    if image.format == "TIFF":
        return _TIFF_CREDENTIALS in getattr(image, "tag_v2", {})
    names, wanted = _CREDENTIALS.get(image.format or "", (None, b""))
    return names is not None and wanted in names(file)


def _is_credentials(segment: Segment) -> bool:
    return segment.marker == jpeg_segments.CREDENTIALS and segment.payload.startswith(b"JP")


def _rights_of_tiff(image: Image) -> Rights:
    def content(tag: int) -> bytes:
        try:
            found = getattr(image, "tag_v2", {}).get(tag, b"")
            found = found[0] if isinstance(found, tuple) and len(found) == 1 else found
            if isinstance(found, tuple):  # some programs call the bytes of IPTC numbers of 32 bits
                found = struct.pack(f"<{len(found)}I", *found)
            return found.encode("latin-1") if isinstance(found, str) else bytes(found)
        except (*BROKEN, UnicodeError):
            return b""

    resources = photoshop.split_resources(content(Tag.ImageResources))
    iptc = content(Tag.IPTCNAA).rstrip(b"\0")
    if iptc and not any(resource.number == photoshop.IPTC for resource in resources):
        resources = (*resources, photoshop.as_resource(iptc))
    credentials = _TIFF_CREDENTIALS in getattr(image, "tag_v2", {})
    return Rights(content(Tag.XMLPacket), resources=resources, credentials=credentials)


def rights_of(segments: Iterable[Segment]) -> Rights:
    """Return the rights that the *segments* of a JPEG hold."""
    segments = list(segments)
    packet = next((s.payload[len(MAIN) :] for s in segments if is_packet(s)), b"")
    held = [s.payload for s in segments if s.marker == jpeg_segments.PHOTOSHOP]
    marked = [part for part in held if part.startswith(photoshop.SIGNATURE)]
    resources = b"".join(part.removeprefix(photoshop.SIGNATURE) for part in marked)
    extension = xmp.strip_stale(_join_extension(segments, packet)) or b""
    credentials = any(map(_is_credentials, segments))
    return Rights(packet, extension, photoshop.split_resources(resources), credentials)


def is_packet(segment: Segment) -> bool:
    """Whether *segment* holds an XMP packet."""
    return segment.marker == jpeg_segments.EXIF_OR_XMP and segment.payload.startswith(MAIN)


def is_extension(segment: Segment) -> bool:
    """Whether *segment* holds a part of an XMP extension."""
    return segment.marker == jpeg_segments.EXIF_OR_XMP and segment.payload.startswith(EXTENSION)


def _join_extension(segments: Iterable[Segment], packet: bytes) -> bytes:
    """Return the extension that *packet* names; empty where parts of it are missing."""
    parts: dict[int, bytes] = {}
    whole = 0
    for segment in filter(is_extension, segments):
        content = segment.payload[len(EXTENSION) :]
        digest, whole_now, at = content[:32], int.from_bytes(content[32:36]), int.from_bytes(content[36:40])
        if len(digest) == 32 and digest in packet and whole_now <= _MOST_EXTENDED:
            whole, parts[at] = whole_now, content[40:]
    joined = b"".join(parts[at] for at in sorted(parts))
    return joined if len(joined) == whole else b""


def merge_rights(rights: Rights, told: xmp.Told, *, extension: bool = False, upright: bool = True) -> bytes:
    """Return the XMP packet of a picture made of one with *rights*; empty for none.

    *extension*: the file that it is for holds the extension as well. *upright*: it is not to be turned any
    more.
    """
    digest = rights.digest if extension else ""
    return xmp.merge_packet(
        rights.packet, told, described=rights.described, extension=digest, upright=upright
    )


def extra_segments(rights: Rights) -> Iterator[Segment]:
    """Yield the segments of a JPEG that hold *rights*, apart from the packet."""
    digest, whole = rights.digest.encode(), len(rights.extension).to_bytes(4)
    for at in range(0, len(rights.extension), _PART):
        head = EXTENSION + digest + whole + at.to_bytes(4)
        yield Segment(jpeg_segments.EXIF_OR_XMP, head + rights.extension[at : at + _PART])
    resources = photoshop.join_resources(rights.resources)
    for at in range(0, len(resources), _PART):
        yield Segment(jpeg_segments.PHOTOSHOP, photoshop.SIGNATURE + resources[at : at + _PART])
