"""What people have and no decoder reads is named; the container is not the picture."""

from __future__ import annotations

import io
import random
import struct
import zlib
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image, PngImagePlugin
from PIL.PngImagePlugin import PngInfo

from batchfill.errors import BadPicture
from batchfill.images.codec.decode import decode_whole, read_header
from batchfill.images.codec.foreign import FOREIGN_SUFFIXES
from batchfill.images.prepare.fit import FitTask, fit_files
from tests.support.pictures import png_chunk

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    Encode = Callable[..., bytes]
    Save = Callable[..., Path]

needs_heif = pytest.mark.skipif(find_spec("pillow_heif") is None, reason="the extra heif is not installed")


def refusal(path: Path) -> BadPicture:
    """Return why a file is refused, which is the same at every look."""
    found = []
    for read in (read_header, decode_whole):
        with pytest.raises(BadPicture) as caught:
            read(path)
        found.append(caught.value)
    assert str(found[0]) == str(found[1])
    return found[0]


@pytest.mark.parametrize(
    "tags",
    [
        {50706: b"\1\4\0\0", 254: 1},
        {50706: b"\1\4\0\0"},
        {262: 32803},
        {262: 34892},
        {33421: (2, 2)},
        {37398: b"\1\0\0\0"},
        {254: 1, 330: 8},
    ],
)
@pytest.mark.parametrize("name", ["p.dng", "p.nef", "p.tif"])
def test_a_raw_photograph_is_known_by_its_tags_whatever_it_is_called(
    tags: Mapping[int, Any], name: str, photo: Image.Image, tmp_path: Path
) -> None:
    content = io.BytesIO()
    plain = {tag: value for tag, value in tags.items() if tag != 262}
    photo.save(content, "TIFF", tiffinfo=plain)
    path = tmp_path / name
    path.write_bytes(with_photometric(content.getvalue(), tags.get(262)))
    assert str(refusal(path)) == (f"{name} is a raw photograph: develop it first, and save it as JPEG or PNG")


def with_photometric(content: bytes, value: int | None) -> bytes:
    """Return a little-endian TIFF with another PhotometricInterpretation, which Pillow does not write."""
    place = content.find(struct.pack("<HHI", 262, 3, 1))
    return (
        content if value is None else content[: place + 8] + struct.pack("<H", value) + content[place + 10 :]
    )


@pytest.mark.parametrize("options", [{}, {"compression": "tiff_lzw"}, {"tiffinfo": {254: 0, 271: "Nikon"}}])
def test_a_tiff_of_a_camera_or_a_scanner_is_a_picture(
    options: dict[str, Any], photo: Image.Image, save: Save
) -> None:
    assert read_header(save(photo, "a.tif", **options)).format == "TIFF"


@pytest.mark.parametrize(
    ("start", "words"),
    [
        (b"II*\0\x10\0\0\0CR\2\0", "a raw photograph: develop it first"),
        (b"\0\0\0\x18ftypcrx \0\0\0\1", "a raw photograph: develop it first"),
        (b"FUJIFILMCCD-RAW 0201", "a raw photograph: develop it first"),
        (b"IIRO\x08\0\0\0", "a raw photograph: develop it first"),
        (b"IIU\0\x18\0\0\0", "a raw photograph: develop it first"),
        (b"FOVb\0\0\2\0", "a raw photograph: develop it first"),
        (b"8BPS\0\1", "a PSD file: save it as JPEG or PNG"),
        (b"8BPS\0\2", "a PSD file: save it as JPEG or PNG"),
        (b"\0\0\0\x0cjP  \r\n\x87\n", "a JPEG 2000 file"),
        (b"\xff\x4f\xff\x51\0\x2f", "a JPEG 2000 file"),
        (b"\xff\x0a\xfa", "a JPEG XL file"),
        (b"II\xbc\1", "a JPEG XR file"),
        (b"gimp xcf v011", "a GIMP file"),
        (b"PK\3\4" + bytes(26) + b"mimetypeapplication/x-krita", "a Krita file"),
        (b"PK\3\4" + bytes(90), "a ZIP archive: unpack it"),
        (b"P6\n96 64\n255\n", "a Netpbm file"),
        (b"#?RADIANCE\n", "a Radiance HDR file"),
        (b"\0\0\1\0\1\0\x20\x20", "an icon"),
        (b"%!PS-Adobe-3.0 EPSF", "a PostScript file"),
        (b"\0\0\0\x14ftypqt  ", "a QuickTime film: save one of its pictures"),
        (b"\0\0\0\x18ftypmp42", "an MP4 film"),
        (bytes(128) + b"DICM", "a DICOM file"),
        (b"DDS \x7c\0\0\0", "a DDS texture"),
        (b"\0\0\2" + bytes(9) + b"\x40\0\x40\0\x20\x08", "a TGA file"),
        (b"\1\xda\1\1", "an SGI file"),
    ],
)
def test_formats_that_people_have_are_named(start: bytes, words: str, tmp_path: Path) -> None:
    path = tmp_path / "x.jpg"
    path.write_bytes(start + bytes(600))
    found = refusal(path)
    assert str(found).startswith(f"x.jpg is {words}")
    assert found.foreign in FOREIGN_SUFFIXES


@pytest.mark.parametrize("compressed", [True, False])
@pytest.mark.parametrize("size", [1_500_000, 5_000_000])
def test_large_metadata_in_a_sound_png_is_read(
    size: int, compressed: bool, photo: Image.Image, save: Save
) -> None:
    info = PngInfo()
    text = "".join(random.Random(1).choices("abcdefghij ", k=size // 100)) * 100
    info.add_itxt("XML:com.adobe.xmp", text, zip=compressed)
    path = save(photo, "p.png", pnginfo=info)
    assert (read_header(path).width, decode_whole(path).width) == (96, 96)
    fitted = fit_files(FitTask(path.read_bytes(), None))
    assert fitted.picture is not None


def test_a_large_profile_in_a_sound_png_is_read(photo: Image.Image, tmp_path: Path, encode: Encode) -> None:
    plain = encode(photo)
    profile = png_chunk(b"iCCP", b"p\0\0" + zlib.compress(random.Random(1).randbytes(3_000_000), 0))
    path = tmp_path / "p.png"
    path.write_bytes(plain[:33] + profile + plain[33:])
    assert decode_whole(path).format == "PNG"


def test_metadata_that_unpacks_without_end_is_refused(
    photo: Image.Image, tmp_path: Path, encode: Encode, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert PngImagePlugin.MAX_TEXT_CHUNK == 64 * 2**20
    monkeypatch.setattr(PngImagePlugin, "MAX_TEXT_CHUNK", 100_000)
    plain, packed = encode(photo), zlib.compress(bytes(200_000))
    path = tmp_path / "p.png"
    path.write_bytes(plain[:33] + png_chunk(b"zTXt", b"k\0\0" + packed) + plain[33:])
    assert "is damaged" in str(refusal(path))


def test_libtiff_writes_nothing_of_its_own_about_a_damaged_file(
    photo: Image.Image, tmp_path: Path, encode: Encode, capfd: pytest.CaptureFixture[str]
) -> None:
    content = bytearray(encode(photo, "TIFF", compression="tiff_lzw"))
    for place in range(300, len(content) - 300, 7):
        content[place] ^= 0x5A
    path = tmp_path / "a.tif"
    path.write_bytes(content)
    with pytest.raises(BadPicture):
        decode_whole(path)
    assert capfd.readouterr().err == ""


@needs_heif
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_heic_picture_is_read_upright_once(orientation: int, photo: Image.Image, tmp_path: Path) -> None:
    import pillow_heif

    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "p.heic"
    pillow_heif.from_pillow(photo).save(path, exif=exif.tobytes(), quality=90)
    found = read_header(path)
    upright = (96, 64) if orientation < 5 else (64, 96)
    assert (found.format, found.suffix, found.width, found.height) == ("HEIF", ".heic", *upright)
    fitted = fit_files(FitTask(path.read_bytes(), None)).picture
    assert fitted is not None
    assert (fitted.size, fitted.how) == (upright, "PNG")


@needs_heif
def test_a_damaged_heic_picture_is_told_as_damaged(tmp_path: Path) -> None:
    path = tmp_path / "p.heic"
    path.write_bytes(b"\0\0\0\x18ftypheic" + bytes(90))
    assert str(refusal(path)) == "p.heic is a HEIC picture that cannot be read: it is damaged or cut short"
