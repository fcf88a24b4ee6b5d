"""The chunks of a PNG and of a WebP: named, taken out and put in; nothing is decoded."""

from __future__ import annotations

import zlib
from os import SEEK_CUR
from typing import IO, TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

PNG = b"\x89PNG\r\n\x1a\n"
_MOST_CHUNKS = 100_000


class Chunk(NamedTuple):
    """One chunk."""

    name: bytes
    content: bytes


def png_chunk_names(file: IO[bytes]) -> set[bytes]:
    """Return the names of the chunks of a PNG, as far as it can be read."""
    file.seek(len(PNG))
    found = set()
    for _ in range(_MOST_CHUNKS):
        if len(head := file.read(8)) < 8:
            break
        found.add(head[4:])
        file.seek(int.from_bytes(head[:4]) + 4, SEEK_CUR)
    return found


def webp_chunk_names(file: IO[bytes]) -> set[bytes]:
    """Return the names of the chunks of a WebP, as far as it can be read."""
    file.seek(12)
    found = set()
    for _ in range(_MOST_CHUNKS):
        if len(head := file.read(8)) < 8:
            break
        found.add(head[:4])
        length = int.from_bytes(head[4:], "little")
        file.seek(length + length % 2, SEEK_CUR)
    return found


def split_png(content: bytes) -> list[Chunk]:
    """Return the chunks of a PNG. Raises ValueError where it is none."""
    if not content.startswith(PNG):
        raise ValueError("a PNG begins otherwise")
    found, at = [], len(PNG)
    while at < len(content):
        ends = at + 8 + int.from_bytes(content[at : at + 4])
        if ends + 4 > len(content):
            raise ValueError("a chunk is longer than the file")
        found.append(Chunk(content[at + 4 : at + 8], content[at + 8 : ends]))
        if found[-1].name == b"IEND":
            break
        at = ends + 4
    return found


def join_png(chunks: Iterable[Chunk]) -> bytes:
    """Return the PNG that is made of *chunks*."""
    parts = [PNG]
    for name, content in chunks:
        check = zlib.crc32(content, zlib.crc32(name))
        parts += [len(content).to_bytes(4), name, content, check.to_bytes(4)]
    return b"".join(parts)


def split_webp(content: bytes) -> list[Chunk]:
    """Return the chunks of a WebP. Raises ValueError where it is none."""
    if content[:4] != b"RIFF" or content[8:12] != b"WEBP":
        raise ValueError("a WebP begins otherwise")
    found, at = [], 12
    while at + 8 <= len(content):
        ends = at + 8 + int.from_bytes(content[at + 4 : at + 8], "little")
        if ends > len(content):
            raise ValueError("a chunk is longer than the file")
        found.append(Chunk(content[at : at + 4], content[at + 8 : ends]))
        at = ends + ends % 2
    return found


def join_webp(chunks: Iterable[Chunk]) -> bytes:
    """Return the WebP that is made of *chunks*."""
    body = b"".join(_webp_parts(chunks))
    return b"RIFF" + (len(body) + 4).to_bytes(4, "little") + b"WEBP" + body


def _webp_parts(chunks: Iterable[Chunk]) -> Iterator[bytes]:
    for name, content in chunks:
        yield name + len(content).to_bytes(4, "little") + content + b"\0" * (len(content) % 2)
