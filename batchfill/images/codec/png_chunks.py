"""The chunks of a PNG in a file: what is there, without reading or decoding what they hold."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_TURNING_TEXTS = (b"Raw profile type exif\0", b"XML:com.adobe.xmp\0")
"""How texts begin that hold EXIF or XMP."""
_TEXTS = frozenset({b"tEXt", b"zTXt", b"iTXt"})


class ChunkPlace(NamedTuple):
    """Where a chunk is whose header is there."""

    kind: bytes
    begins: int
    """Offset of its content."""
    ends: int
    """Offset behind its check sum, which may be beyond the file's end."""


def find_chunks(file: IO[bytes]) -> Iterator[ChunkPlace]:
    """Give the chunks one after the other. The position of *file* may be changed between two of them."""
    ends = len(SIGNATURE)
    file.seek(ends)
    while len(header := file.read(8)) == 8:
        begins, ends = ends + 8, ends + 12 + int.from_bytes(header[:4])
        yield ChunkPlace(header[4:], begins, ends)
        file.seek(ends)


def turns_late(file: IO[bytes]) -> bool:
    """Whether what tells how a PNG is to be turned may stand behind its pixels. Keeps the position."""
    before, late = file.tell(), False
    try:
        for kind, begins, _ in find_chunks(file):
            if late and (kind == b"eXIf" or (kind in _TEXTS and _may_turn(file, begins))):
                return True
            late = late or kind == b"IDAT"
    finally:
        file.seek(before)
    return False


def _may_turn(file: IO[bytes], begins: int) -> bool:
    file.seek(begins)
    return file.read(max(map(len, _TURNING_TEXTS))).startswith(_TURNING_TEXTS)
