"""The thumbnail in EXIF, which would show the old picture: made new in its place, all else to the byte."""

from __future__ import annotations

import io
import struct
from typing import TYPE_CHECKING, NamedTuple

from PIL import ImageOps
from PIL.Image import Resampling

from batchfill.errors import BadPicture
from batchfill.images.codec.open import open_image

if TYPE_CHECKING:
    from collections.abc import Callable

    from PIL.Image import Image

_ORDERS = {b"II": "<", b"MM": ">"}
_ENTRY = 12
_OFFSET, _LENGTH = 0x0201, 0x0202
_QUALITIES = (85, 70, 50, 30)
_LONGEST = 1024
"""Pixels of a thumbnail's longer side at most."""


class _Link(NamedTuple):
    """Where EXIF keeps its thumbnail."""

    order: str
    next_at: int
    """Of the number that leads to the thumbnail's directory."""
    length_at: int | None
    """Of the number of its bytes; None: it is no JPEG."""
    starts: int
    length: int


def replace_thumbnail(exif: bytes, show: Callable[[int], Image]) -> bytes:
    """Return *exif* with a thumbnail of the picture as it is now, as large as the one that it has.

    *show* gives the picture, as stored, its longer side as long as it is told, or longer. Where a new one
    cannot take the old one's place, it has none afterwards. What cannot be read stays.
    """
    try:
        link = _find_link(exif)
    except struct.error:
        return exif
    if link is None:
        return exif
    room = exif[link.starts : link.starts + link.length]
    made = _make_thumbnail(room, show) if link.length_at is not None else None
    changed = bytearray(exif)
    if made is None:
        struct.pack_into(f"{link.order}I", changed, link.next_at, 0)
        made = b""
    elif link.length_at is not None:
        struct.pack_into(f"{link.order}I", changed, link.length_at, len(made))
    changed[link.starts : link.starts + len(room)] = made.ljust(len(room), b"\0")
    return bytes(changed)


def _find_link(exif: bytes) -> _Link | None:
    """Return where the thumbnail is; None without one. Raises struct.error where offsets lead nowhere."""
    order = _ORDERS.get(exif[:2])
    if order is None:
        return None
    (first,) = struct.unpack_from(f"{order}I", exif, 4)
    (count,) = struct.unpack_from(f"{order}H", exif, first)
    next_at = first + 2 + count * _ENTRY
    (second,) = struct.unpack_from(f"{order}I", exif, next_at)
    if not second:
        return None
    (count,) = struct.unpack_from(f"{order}H", exif, second)
    entries = {}
    for at in range(second + 2, second + 2 + count * _ENTRY, _ENTRY):
        (tag,) = struct.unpack_from(f"{order}H", exif, at)
        (value,) = struct.unpack_from(f"{order}I", exif, at + 8)
        entries[tag] = at + 8, value
    if not {_OFFSET, _LENGTH} <= entries.keys():
        return _Link(order, next_at, None, len(exif), 0)
    (_, starts), (length_at, length) = entries[_OFFSET], entries[_LENGTH]
    return _Link(order, next_at, length_at, starts, length)


def _make_thumbnail(before: bytes, show: Callable[[int], Image]) -> bytes | None:
    """Return a JPEG of the picture, as large as *before*; None where it does not fit in its bytes."""
    try:
        with open_image(io.BytesIO(before), "thumbnail") as image:
            size, mode = image.size, "L" if image.mode == "L" else "RGB"
    except BadPicture:
        return None
    if max(size) > _LONGEST:
        return None
    small = ImageOps.pad(show(max(size)).convert(mode), size, Resampling.LANCZOS)
    for quality in _QUALITIES:
        target = io.BytesIO()
        small.save(target, "JPEG", quality=quality, exif=b"", icc_profile=None, comment=b"")
        if len(target.getvalue()) <= len(before):
            return target.getvalue()
    return None
