"""The thumbnail in EXIF shows the finished picture, and nothing else of EXIF changes."""

from __future__ import annotations

import io
import struct

import pytest
from PIL import Image

from batchfill.images.composite.exif_thumbnail import replace_thumbnail


def saved(picture: Image.Image, quality: int) -> bytes:
    target = io.BytesIO()
    picture.save(target, "JPEG", quality=quality)
    return target.getvalue()


def exif_with(thumbnail: bytes, order: str, *, compression: int = 6) -> bytes:
    """Return EXIF of a maker's name and *thumbnail*, with a maker's note behind it."""
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", 8)
    first = struct.pack(f"{order}HHHII", 1, 0x010F, 2, 4, 0) + struct.pack(f"{order}I", 26)
    starts = 26 + 2 + 3 * 12 + 4
    entries = [(0x0103, 3, compression), (0x0201, 4, starts), (0x0202, 4, len(thumbnail))]
    if compression == 1:
        entries = [(0x0103, 3, 1), (0x0111, 4, starts), (0x0117, 4, len(thumbnail))]
    second = struct.pack(f"{order}H", 3)
    for tag, kind, value in entries:
        second += struct.pack(f"{order}HHII", tag, kind, 1, value)
    return head + first + second + struct.pack(f"{order}I", 0) + thumbnail + b"a maker's note"


OLD = saved(Image.effect_noise((64, 48), 90).convert("RGB"), 90)


def thumbnail_of(exif: bytes, order: str) -> Image.Image:
    starts, length = (
        struct.unpack_from(f"{order}I", exif, 48)[0],
        struct.unpack_from(f"{order}I", exif, 60)[0],
    )
    image = Image.open(io.BytesIO(exif[starts : starts + length]))
    image.load()
    return image


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_it_shows_the_new_picture_at_the_old_ones_size(order: str, mode: str) -> None:
    exif = exif_with(OLD, order)
    new = replace_thumbnail(exif, lambda _: Image.new("RGB", (400, 300), "teal").convert(mode))
    assert len(new) == len(exif)
    assert new[:60] == exif[:60]
    assert new.endswith(b"a maker's note")
    image = thumbnail_of(new, order)
    assert image.size == (64, 48)
    assert all(high - low < 12 for low, high in image.convert("RGB").getextrema())  # type: ignore[misc]
    assert OLD[-100:] not in new


def test_a_new_one_that_needs_more_room_leaves_none() -> None:
    exif = exif_with(saved(Image.new("RGB", (64, 48)), 5), "<")
    new = replace_thumbnail(exif, lambda _: Image.effect_noise((64, 48), 200).convert("RGB"))
    assert struct.unpack_from("<I", new, 22) == (0,)


@pytest.mark.parametrize(
    "broken", [b"", b"MM", b"II*\0\xff\xff\xff\xff", b"II*\0\x08\0\0\0\x01\0", b"nonsense"]
)
def test_what_cannot_be_read_stays(broken: bytes) -> None:
    assert replace_thumbnail(broken, lambda _: Image.new("RGB", (1, 1))) == broken


def test_one_that_is_no_jpeg_goes() -> None:
    for exif in (exif_with(b"\0" * 30, "<"), exif_with(b"\0" * 30, "<", compression=1)):
        assert struct.unpack_from("<I", replace_thumbnail(exif, lambda _: Image.new("RGB", (1, 1))), 22) == (
            0,
        )


def test_no_cut_raises() -> None:
    exif = exif_with(OLD, ">")
    for at in range(0, 100, 3):
        replace_thumbnail(exif[:at], lambda _: Image.new("RGB", (4, 3)))
