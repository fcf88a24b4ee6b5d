from __future__ import annotations

import io
import struct
import zlib
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from batchfill.errors import BadPicture
from batchfill.images.codec.decode import decode_whole, read_header, stored_size
from batchfill.images.codec.foreign import FOREIGN_SUFFIXES
from batchfill.images.codec.open import open_image, upright_size
from batchfill.images.prepare.fit import FitTask, fit_files
from tests.support.pictures import png_chunk

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Encode = Callable[..., bytes]
    Save = Callable[..., Path]

FORMATS = [("PNG", ".png"), ("JPEG", ".jpg"), ("WEBP", ".webp"), ("GIF", ".gif")]


@pytest.mark.parametrize(("kind", "suffix"), FORMATS)
def test_the_content_names_the_suffix_whatever_the_file_is_called(
    photo: Image.Image, tmp_path: Path, kind: str, suffix: str, encode: Encode
) -> None:
    path = tmp_path / "picture.dat"
    path.write_bytes(encode(photo, kind))
    for found in (read_header(path), decode_whole(path)):
        assert (found.format, found.suffix, found.width, found.height) == (kind, suffix, 96, 64)


@pytest.mark.parametrize("name", ["a.jpg", "a.webp", "a.png"])
def test_look_gives_the_size_after_exif_rotation(
    photo: Image.Image, turned: Image.Exif, save: Save, name: str
) -> None:
    found = read_header(save(photo, name, exif=turned))
    assert (found.width, found.height) == (64, 96)


def late_chunk(turned: Image.Exif, kind: str) -> bytes:
    """Return a chunk that turns a PNG, as programs write it behind the pixels."""
    hexadecimal = turned.tobytes().hex().encode()
    raw = b"\nexif\n%8d\n%s\n" % (len(hexadecimal) // 2, hexadecimal)
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf tiff:Orientation="6"/></x:xmpmeta>'
    return {
        "eXIf": png_chunk(b"eXIf", turned.tobytes()[6:]),
        "tEXt": png_chunk(b"tEXt", b"Raw profile type exif\0" + raw),
        "zTXt": png_chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(raw)),
        "iTXt": png_chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp),
    }[kind]


@pytest.mark.parametrize("kind", ["eXIf", "tEXt", "zTXt", "iTXt"])
def test_look_sees_a_rotation_behind_the_pixels_of_a_png(
    photo: Image.Image, turned: Image.Exif, tmp_path: Path, encode: Encode, kind: str
) -> None:
    plain = encode(photo, "PNG")
    path = tmp_path / "late.png"
    path.write_bytes(plain[:-12] + late_chunk(turned, kind) + plain[-12:])
    assert read_header(path).height == 96
    with open_image(path, path.name) as image:
        assert upright_size(image) == (64, 96)


@pytest.mark.parametrize("late", [b"", b"date:create\0today", b"Comment\0Raw profile type exif"])
def test_a_png_that_nothing_turns_is_not_decoded_for_its_size(
    photo: Image.Image, encode: Encode, late: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = encode(photo, "PNG")
    content = plain[:-12] + png_chunk(b"tEXt", late) + plain[-12:] if late else plain
    with open_image(io.BytesIO(content), "a.png") as image:
        with monkeypatch.context() as patch:
            patch.setattr(image, "load", None)
            assert upright_size(image) == (96, 64)
        # The decoder goes on where it was.
        assert image.tobytes() == photo.tobytes()


def test_look_decodes_nothing(photo: Image.Image, tmp_path: Path, encode: Encode) -> None:
    path = tmp_path / "half.png"
    content = encode(photo, "PNG")
    path.write_bytes(content[: len(content) // 2])
    assert read_header(path).width == 96


def test_the_size_as_stored_leaves_exif_aside(photo: Image.Image, turned: Image.Exif) -> None:
    target = io.BytesIO()
    photo.save(target, "JPEG", exif=turned)
    assert stored_size(target.getvalue(), "image") == (96, 64)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "x.png is empty"),
        (b"id,image,mask\n1,a.png,b.png\n", "x.png is text, not a picture"),
        ("ä".encode() * 400, "x.png is text, not a picture"),
        (b"\n<!DOCTYPE html><html></html>", "x.png is a web page, not a picture"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "x.png is an SVG drawing"),
        (b"\0\0\0\x18ftypheic\0\0\0\0", "x.png is a HEIC picture"),
        (b"%PDF-1.7\n", "x.png is a PDF"),
        (b"\x00\x01\x02\x03" * 30, "x.png is not a picture in a known format"),
    ],
)
def test_what_is_no_picture_is_named_for_what_it_is(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "x.png"
    path.write_bytes(content)
    for read in (read_header, decode_whole):
        with pytest.raises(BadPicture) as caught:
            read(path)
        assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("content", "foreign"),
    [
        (b"\xff\x0a" + bytes(90), "JPEG XL"),
        (b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(90), "JPEG XL"),
        (b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(90), "JPEG 2000"),
        (b"\0\0\0\x18ftypheic" + bytes(90), "HEIC"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic" + bytes(90), "HEIC"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1avif" + bytes(90), None),
        (b"\0\0\0\x18ftypisom" + bytes(90), "MP4"),
        (b"\x1a\x45\xdf\xa3" + bytes(90), "WebM"),
        (b"8BPS\0\x01" + bytes(90), "PSD"),
        (b"%PDF-1.7\n", "PDF"),
        (b"<?xml version='1.0'?>\n<svg/>", "SVG"),
        (b"<html>", None),
        (b"\x81" * 90, None),
        (b"\x89PNG\r\n\x1a\n" + bytes(90), None),
        (b"", None),
    ],
)
def test_a_format_that_no_decoder_here_reads_is_told_from_damage(
    tmp_path: Path, content: bytes, foreign: str | None
) -> None:
    path = tmp_path / "x.png"
    path.write_bytes(content)
    with pytest.raises(BadPicture) as caught:
        decode_whole(path)
    assert caught.value.foreign == foreign
    assert foreign is None or foreign in FOREIGN_SUFFIXES


def test_a_folder_and_a_missing_file_cannot_be_read(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none.png"):
        for read in (read_header, decode_whole):
            with pytest.raises(BadPicture, match="cannot be read"):
                read(path)


def test_an_animation_is_refused_as_an_input(photo: Image.Image, save: Save) -> None:
    other = photo.rotate(90)
    for name in ("a.gif", "a.webp", "a.png"):
        path = save(photo, name, save_all=True, append_images=[other])
        with pytest.raises(BadPicture, match=f"{name} is animated"):
            read_header(path)
        assert decode_whole(path).width == 96


def test_a_phones_jpeg_with_a_second_picture_is_a_jpeg(photo: Image.Image, tmp_path: Path) -> None:
    path = tmp_path / "phone.jpg"
    photo.save(path, "MPO", save_all=True, append_images=[photo])
    assert (read_header(path).format, read_header(path).suffix, decode_whole(path).suffix) == (
        "MPO",
        ".jpg",
        ".jpg",
    )


def test_a_picture_beyond_the_limit_is_refused_before_decoding(tmp_path: Path) -> None:
    for side in (15_000, 25_000):
        header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
        path = tmp_path / "bomb.png"
        path.write_bytes(b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + png_chunk(b"IDAT", b"") * 2)
        with pytest.raises(BadPicture, match=r"bomb.png is larger than 200 megapixels"):
            read_header(path)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF"])
def test_a_cut_of_any_length_is_noticed(
    photo: Image.Image, tmp_path: Path, kind: str, encode: Encode
) -> None:
    content = encode(photo, kind)
    path = tmp_path / "cut"
    for missing in [1, 2, 3, 4, 5, 8, 11, 12, 13, 20, 100, len(content) // 2, len(content) - 20]:
        path.write_bytes(content[:-missing])
        with pytest.raises(BadPicture):
            decode_whole(path)


def test_bytes_behind_the_end_are_no_harm(photo: Image.Image, tmp_path: Path, encode: Encode) -> None:
    path = tmp_path / "more"
    for kind in ("PNG", "JPEG", "WEBP"):
        path.write_bytes(encode(photo, kind) + b"\0" * 7)
        assert decode_whole(path).format == kind


@pytest.mark.filterwarnings(r"ignore::UserWarning:PIL\..*")
@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(data=st.data())
def test_damage_raises_bad_picture_and_nothing_else(
    photo: Image.Image, tmp_path: Path, data: st.DataObject, encode: Encode
) -> None:
    content = bytearray(
        encode(photo, data.draw(st.sampled_from(["PNG", "JPEG", "WEBP", "GIF", "TIFF", "BMP"])))
    )
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path / "damaged"
    path.write_bytes(content)
    for read in (read_header, decode_whole):
        try:
            read(path)
        except BadPicture:
            continue


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_turned_tiff_is_turned_once(photo: Image.Image, orientation: int, save: Save) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = save(photo, "a.tiff", exif=exif)
    upright = (96, 64) if orientation < 5 else (64, 96)
    seen = read_header(path)
    assert (seen.width, seen.height) == upright
    sent = fit_files(FitTask(path.read_bytes(), None)).picture
    assert sent is not None
    assert stored_size(sent.content, "sent") == sent.size == upright
