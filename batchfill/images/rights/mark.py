"""The mark: a file that says in the standard way that AI made or edited its picture; pixels are not
touched."""

from __future__ import annotations

from typing import TYPE_CHECKING

from batchfill.images.rights import chunks, jpeg_segments, xmp
from batchfill.images.rights.chunks import Chunk
from batchfill.images.rights.jpeg_segments import Segment
from batchfill.images.rights.rights import EXIF, LONGEST_PACKET, MAIN, is_packet

if TYPE_CHECKING:
    from collections.abc import Callable

AI = frozenset({xmp.COMPOSITE, xmp.SYNTHETIC})
_AI_BYTES = b"rainedAlgorithmicMedia"

_PNG_KEYWORD = b"XML:com.adobe.xmp"
_PNG_START = _PNG_KEYWORD + b"\0\0\0\0\0"
_WEBP_ALPHA, _WEBP_XMP = 0x10, 0x04
_WEBP_PICTURES = frozenset({b"VP8 ", b"VP8L"})


def mark_content(content: bytes, told: xmp.Told) -> bytes:
    """Return the picture file *content* with what is *told* in its XMP.

    As it is: a file that says already, in XMP or signed, that AI made it, and one of a format that takes no
    mark here (PNG, JPEG and WebP do). Content Credentials that do not say so are left out: they would not
    hold any more.
    """
    for start, mark in _MARKS.items():
        if content.startswith(start):
            try:
                return mark(content, told)
            except ValueError:  # its structure is not that of its format, though it decodes
                return content
    return content


def _merge(packet: bytes, told: xmp.Told) -> bytes | None:
    """Return the new packet; None where the file says it already."""
    return None if xmp.source_types_of(packet) & AI else xmp.merge_packet(packet, told)


def _mark_jpeg(content: bytes, told: xmp.Told) -> bytes:
    segments = jpeg_segments.split_jpeg(content)
    credentials = [s for s in segments if s.marker == jpeg_segments.CREDENTIALS]
    packet = next((s.payload[len(MAIN) :] for s in segments if is_packet(s)), b"")
    merged = _merge(packet, told)
    if merged is None or _says_ai(b"".join(s.payload for s in credentials)) or len(merged) > LONGEST_PACKET:
        return content
    kept = [s for s in segments if s not in credentials and not is_packet(s)]
    # JFIF and EXIF want to be first.
    at = sum(1 for s in kept[:2] if s.marker == jpeg_segments.APP0 or s.payload.startswith(EXIF))
    kept.insert(at, Segment(jpeg_segments.EXIF_OR_XMP, MAIN + merged))
    return jpeg_segments.join_jpeg(kept)


def _mark_png(content: bytes, told: xmp.Told) -> bytes:
    parts = chunks.split_png(content)
    packet = next((c.content[len(_PNG_START) :] for c in parts if _is_png_packet(c)), b"")
    merged = _merge(packet, told)
    if merged is None or _says_ai(_content_of(parts, b"caBX")):
        return content
    kept = [c for c in parts if c.name != b"caBX" and not _is_png_packet(c)]
    kept.insert(1, Chunk(b"iTXt", _PNG_START + merged))
    return chunks.join_png(kept)


def _is_png_packet(chunk: Chunk) -> bool:
    return chunk.name == b"iTXt" and chunk.content.startswith(_PNG_START)


def _mark_webp(content: bytes, told: xmp.Told) -> bytes:
    parts = chunks.split_webp(content)
    merged = _merge(_content_of(parts, b"XMP "), told)
    if merged is None or _says_ai(_content_of(parts, b"C2PA")):
        return content
    kept = [c for c in parts if c.name not in (b"XMP ", b"C2PA", b"VP8X")]
    return chunks.join_webp([_webp_head(parts), *kept, Chunk(b"XMP ", merged)])


def _webp_head(parts: list[Chunk]) -> Chunk:
    """Return the chunk that says what a WebP holds, XMP among it. Raises ValueError for one without
    picture."""
    if parts and parts[0].name == b"VP8X" and len(parts[0].content) == 10:
        flags, *rest = parts[0].content
        return Chunk(b"VP8X", bytes([flags | _WEBP_XMP, *rest]))
    name, content = next((c for c in parts if c.name in _WEBP_PICTURES), Chunk(b"", b""))
    if name == b"VP8L" and len(content) >= 5:
        bits = int.from_bytes(content[1:5], "little")
        width, height, alpha = bits & 0x3FFF, bits >> 14 & 0x3FFF, bits >> 28 & 1
    elif name == b"VP8 " and len(content) >= 10:
        width, height = (int.from_bytes(content[at : at + 2], "little") & 0x3FFF for at in (6, 8))
        width, height, alpha = width - 1, height - 1, 0
    else:
        raise ValueError("a WebP without a picture")
    flags = _WEBP_XMP | (_WEBP_ALPHA if alpha else 0)
    sizes = width.to_bytes(3, "little") + height.to_bytes(3, "little")
    return Chunk(b"VP8X", bytes([flags, 0, 0, 0]) + sizes)


def _content_of(parts: list[Chunk], name: bytes) -> bytes:
    return b"".join(c.content for c in parts if c.name == name)


def _says_ai(credentials: bytes) -> bool:
    return _AI_BYTES in credentials


_MARKS: dict[bytes, Callable[[bytes, xmp.Told], bytes]] = {
    jpeg_segments.START: _mark_jpeg,
    chunks.PNG: _mark_png,
    b"RIFF": _mark_webp,
}
