"""A JPEG as its segments: taken apart and put together again, not decoded."""

from __future__ import annotations

import re
from itertools import chain
from os import SEEK_CUR
from typing import IO, TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

START, END = b"\xff\xd8", b"\xff\xd9"
APP0, EXIF_OR_XMP, PROFILE, CREDENTIALS, PHOTOSHOP, ADOBE = 0xE0, 0xE1, 0xE2, 0xEB, 0xED, 0xEE
COMMENT, QUANTISATION, HUFFMAN, RESTARTS, SCAN = 0xFE, 0xDB, 0xC4, 0xDD, 0xDA
FRAMES = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
"""Markers that describe the picture's size and components."""

LONGEST = 65_533
"""Bytes that a segment holds at most."""

_ALONE = frozenset({0x01, *range(0xD0, 0xD8)})
# Begun by one byte and no more, it is searched for twenty times as fast.
_END_OF_SCAN = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")


class Segment(NamedTuple):
    """One segment."""

    marker: int
    payload: bytes
    scan: bytes | memoryview = b""
    """What follows a SCAN: the compressed coefficients, as they are in the file; a view of a view."""

    @property
    def is_about(self) -> bool:
        """Whether it tells of the picture, and is not needed to decode it."""
        return APP0 <= self.marker <= 0xEF or self.marker == COMMENT


def split_jpeg(content: bytes | memoryview) -> list[Segment]:
    """Return the segments of the first picture in *content*. Raises ValueError where it is no JPEG."""
    if content[: len(START)] != START:
        raise ValueError("a JPEG begins otherwise")
    found: list[Segment] = []
    at = len(START)
    while at < len(content):
        marker, at = _next_marker(content, at)
        if marker == END[1]:
            break
        if marker in _ALONE:
            continue
        length = int.from_bytes(content[at : at + 2])
        if length < 2 or at + length > len(content):
            raise ValueError("a segment is longer than the file")
        payload, at = bytes(content[at + 2 : at + length]), at + length
        scan: bytes | memoryview = b""
        if marker == SCAN:
            match = _END_OF_SCAN.search(content, at)
            ends = match.start() if match else len(content)
            if match and content[ends - 1] == 0xFF:
                # Any number of them may stand in front of a marker.
                ends = at + len(bytes(content[at:ends]).rstrip(b"\xff"))
            scan, at = content[at:ends], ends
        found.append(Segment(marker, payload, scan))
    return found


def read_head(file: IO[bytes]) -> list[Segment]:
    """Return what is in front of the first scan of the JPEG in *file*, as far as it can be read."""
    file.seek(len(START))
    found: list[Segment] = []
    while len(head := file.read(4)) == 4 and head[0] == 0xFF and head[1] not in (SCAN, END[1]):
        if head[1] == 0xFF or head[1] in _ALONE:
            file.seek(-3 if head[1] == 0xFF else -2, SEEK_CUR)
            continue
        payload = file.read(max(int.from_bytes(head[2:]) - 2, 0))
        found.append(Segment(head[1], payload))
    return found


def _next_marker(content: bytes | memoryview, at: int) -> tuple[int, int]:
    """Return the marker at *at* and where it ends. Raises ValueError where there is none."""
    if content[at : at + 1] != b"\xff":
        raise ValueError("no segment begins where the last one ends")
    while content[at : at + 1] == b"\xff":
        at += 1
    if at == len(content):
        raise ValueError("the file ends in a marker")
    return content[at], at + 1


def join_jpeg(segments: Iterable[Segment]) -> bytes:
    """Return the JPEG that is made of *segments*, none of them longer than LONGEST."""
    return b"".join([START, *chain.from_iterable(map(_parts_of, segments)), END])


def join_segment(segment: Segment) -> bytes:
    """Return the bytes of one segment."""
    return b"".join(_parts_of(segment))


def _parts_of(segment: Segment) -> tuple[bytes | memoryview, ...]:
    assert len(segment.payload) <= LONGEST
    head = bytes((0xFF, segment.marker)) + (len(segment.payload) + 2).to_bytes(2)
    return head, segment.payload, segment.scan
