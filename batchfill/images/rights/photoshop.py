"""Photoshop's image resources, in which JPEG and TIFF keep IPTC: credit, byline, caption."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

SIGNATURE = b"Photoshop 3.0\0"
"""In front of the resources, in each JPEG segment that holds some."""

IPTC = 0x0404
_STALE = frozenset({0x0409, 0x040C, 0x0422, 0x0423, 0x0424})
"""Thumbnails of the old pixels, and copies of EXIF and XMP that would contradict the file's own."""


class Resource(NamedTuple):
    """One image resource."""

    kind: bytes
    """Four letters, `8BIM` mostly."""
    number: int
    name: bytes
    """As stored: its length, then the name, padded to an even length."""
    content: bytes


def split_resources(content: bytes) -> tuple[Resource, ...]:
    """Return the resources in *content* that are still true of a finished picture, as far as it can be
    read."""
    return tuple(resource for resource in _walk(content) if resource.number not in _STALE)


def _walk(content: bytes) -> Iterator[Resource]:
    at = 0
    while len(head := content[at : at + 7]) == 7 and head[:4].isalnum():
        name_ends = at + 6 + (head[6] + 2) // 2 * 2
        starts = name_ends + 4
        length = int.from_bytes(content[name_ends:starts])
        if starts + length > len(content):
            return
        number, name = int.from_bytes(head[4:6]), content[at + 6 : name_ends]
        yield Resource(head[:4], number, name, content[starts : starts + length])
        at = starts + length + length % 2


def join_resources(resources: Iterable[Resource]) -> bytes:
    """Return the bytes of *resources*, without a signature."""
    parts = []
    for kind, number, name, content in resources:
        length = len(content).to_bytes(4)
        parts += [kind, number.to_bytes(2), name, length, content, b"\0" * (len(content) % 2)]
    return b"".join(parts)


def as_resource(iptc: bytes) -> Resource:
    """Return the resource that holds IPTC datasets."""
    return Resource(b"8BIM", IPTC, b"\0\0", iptc)


def as_raw_profile(resources: Iterable[Resource]) -> str:
    """Return the IPTC among *resources* as the text `Raw profile type iptc` of a PNG; empty without any."""
    content = join_resources(resource for resource in resources if resource.number == IPTC)
    if not content:
        return ""
    digits = content.hex()
    lines = [digits[at : at + 72] for at in range(0, len(digits), 72)]
    return "\n".join(["", "iptc", f"{len(content):8d}", *lines, ""])


def read_raw_profile(text: str) -> tuple[Resource, ...]:
    """Return the IPTC of such a text, which holds resources or datasets alone; empty where it cannot be
    read."""
    *_, digits = text.strip().split("\n", 2)
    try:
        content = bytes.fromhex(digits)
    except ValueError:
        return ()
    if content.startswith(b"8BIM"):
        return split_resources(content)
    return (as_resource(content),) if content.startswith(b"\x1c") else ()
