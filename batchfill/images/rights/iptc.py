"""IPTC datasets as the XMP properties that mean the same, for formats that have no place for them."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

from batchfill.images.rights.photoshop import IPTC

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from batchfill.images.rights.photoshop import Resource

_START = 0x1C
_UTF8 = b"\x1b%G"
_CHARACTER_SET = (1, 90)

FIELDS = {
    5: ("dc", "title", "Alt"),
    25: ("dc", "subject", "Bag"),
    40: ("photoshop", "Instructions", ""),
    80: ("dc", "creator", "Seq"),
    85: ("photoshop", "AuthorsPosition", ""),
    90: ("photoshop", "City", ""),
    95: ("photoshop", "State", ""),
    101: ("photoshop", "Country", ""),
    103: ("photoshop", "TransmissionReference", ""),
    105: ("photoshop", "Headline", ""),
    110: ("photoshop", "Credit", ""),
    115: ("photoshop", "Source", ""),
    116: ("dc", "rights", "Alt"),
    120: ("dc", "description", "Alt"),
    122: ("photoshop", "CaptionWriter", ""),
}
"""Datasets of record 2: prefix, name and kind of list of their XMP property, as IPTC's own table has them."""


class XmpField(NamedTuple):
    """One property of XMP."""

    prefix: str
    name: str
    container: str
    """`Alt`, `Bag` or `Seq`; empty: it has one text."""
    texts: tuple[str, ...]


def iptc_fields(resources: Iterable[Resource]) -> tuple[XmpField, ...]:
    """Return the IPTC among *resources* as fields of XMP; what has none is left out."""
    datasets = [*_walk(b"".join(r.content for r in resources if r.number == IPTC))]
    codec = "utf-8" if (*_CHARACTER_SET, _UTF8) in datasets else "latin-1"
    texts: defaultdict[int, list[str]] = defaultdict(list)
    for record, number, content in datasets:
        if record == 2 and number in FIELDS:
            texts[number].append(content.decode(codec, "replace"))
    return tuple(XmpField(*FIELDS[number], tuple(found)) for number, found in texts.items())


def _walk(content: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Yield record, number and content of each dataset, as far as it can be read."""
    at = 0
    while len(head := content[at : at + 5]) == 5 and head[0] == _START:
        length, at = int.from_bytes(head[3:]), at + 5
        if length & 0x8000:  # an extended one says how many bytes its length has
            digits = length & 0x7FFF
            length, at = int.from_bytes(content[at : at + digits]), at + digits
        yield head[1], head[2], content[at : at + length]
        at += length
