"""Small copies of pictures."""

from __future__ import annotations

import io
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image, ImageFile

from batchfill.domain.drawn_masks import read_drawn_mask
from batchfill.errors import BadPicture
from batchfill.images.codec.thumbnail import ThumbTask, make_thumbnail

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

Encode = Any


@pytest.fixture
def small(tmp_path: Path) -> Callable[..., Image.Image]:
    """Return the small copy of a file with this content."""

    def make(content: bytes, *, longest: int = 32, name: str = "a.png") -> Image.Image:
        file = tmp_path / name
        file.write_bytes(content)
        made = Image.open(io.BytesIO(make_thumbnail(ThumbTask(file, sha256(content).hexdigest(), longest))))
        made.load()
        return made

    return make


def test_the_longer_side_is_as_long_as_asked(small: Any, photo: Image.Image, encode: Encode) -> None:
    made = small(encode(photo))
    assert (made.format, made.size) == ("WEBP", (32, 21))


def test_a_smaller_picture_keeps_its_size(small: Any, photo: Image.Image, encode: Encode) -> None:
    assert small(encode(photo), longest=500).size == photo.size


def test_it_is_upright_and_says_so(
    small: Any, photo: Image.Image, turned: Image.Exif, encode: Encode
) -> None:
    made = small(encode(photo, "JPEG", exif=turned))
    assert made.size == (21, 32)
    assert dict(made.getexif()) == {}


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "I;16"])
def test_every_mode_becomes_a_picture(small: Any, photo: Image.Image, encode: Encode, mode: str) -> None:
    source = photo.convert("I").convert("I;16") if mode == "I;16" else photo.convert(mode)
    assert small(encode(source, "TIFF")).mode == "RGB"


def test_colours_stay_what_they_are(small: Any, encode: Encode) -> None:
    made = small(encode(Image.new("RGB", (80, 40), (200, 60, 30))))
    pixel = made.convert("RGB").getpixel((5, 5))
    assert isinstance(pixel, tuple)
    assert all(abs(one - other) < 8 for one, other in zip(pixel, (200, 60, 30), strict=True))


@pytest.mark.parametrize(("size", "decoded"), [((800, 200), (200, 50)), ((100, 800), (25, 200))])
def test_a_long_jpeg_is_decoded_no_larger_than_its_longer_side_needs(
    size: tuple[int, int], decoded: Any, small: Any, encode: Encode, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    load = ImageFile.ImageFile.load

    def loading(image: ImageFile.ImageFile) -> Any:
        seen.append(image.size)
        return load(image)

    monkeypatch.setattr(ImageFile.ImageFile, "load", loading)
    assert max(small(encode(Image.new("RGB", size), "JPEG"), longest=100).size) == 100
    assert decoded in seen
    assert size not in seen


def test_another_picture_is_not_shown_for_it(tmp_path: Path, photo: Image.Image) -> None:
    file = tmp_path / "a.png"
    photo.save(file)
    with pytest.raises(BadPicture, match=r"^a\.png is not the picture any more that it was in this batch$"):
        make_thumbnail(ThumbTask(file, "0" * 64, 32))


@pytest.mark.parametrize(
    ("content", "said"), [(None, "cannot be read"), (b"", "is empty"), (b"x", "is text")]
)
def test_what_is_no_picture_says_why(tmp_path: Path, content: bytes | None, said: str) -> None:
    file = tmp_path / "a.png"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(BadPicture, match=f"^a.png {said}"):
        make_thumbnail(ThumbTask(file, sha256(content or b"").hexdigest(), 32))


@pytest.mark.parametrize(
    ("words", "inside", "outside"),
    [
        ("box:48,0,48,64", (30, 10), (2, 10)),
        ("polygon:48,0 96,0 96,64 48,64", (30, 10), (2, 10)),
        ("alpha", (2, 10), (30, 10)),
    ],
)
@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_a_mask_without_a_file_is_shown_as_what_it_fills(
    words: str, inside: Any, outside: Any, kind: str, photo: Image.Image, tmp_path: Path, encode: Encode
) -> None:
    alpha = Image.new("L", photo.size, 255)
    alpha.paste(0, (0, 0, 48, 64))
    photo.putalpha(alpha)
    file = tmp_path / "a"
    file.write_bytes(encode(photo, kind, lossless=True))
    task = ThumbTask(file, sha256(file.read_bytes()).hexdigest(), 32, read_drawn_mask(words))
    made = Image.open(io.BytesIO(make_thumbnail(task))).convert("L")
    assert made.size == (32, 21)
    light, dark = made.getpixel(inside), made.getpixel(outside)
    assert isinstance(light, int | float)
    assert isinstance(dark, int | float)
    assert (light > 240, dark < 15) == (True, True)


def test_a_box_on_a_turned_picture_is_shown_as_the_picture_is(
    photo: Image.Image, turned: Image.Exif, tmp_path: Path, encode: Encode
) -> None:
    file = tmp_path / "a.jpg"
    file.write_bytes(encode(photo, "JPEG", exif=turned))
    task = ThumbTask(file, sha256(file.read_bytes()).hexdigest(), 32, read_drawn_mask("box:0,0,64,48"))
    made = Image.open(io.BytesIO(make_thumbnail(task))).convert("L")
    assert made.size == (21, 32)
    assert made.getpixel((10, 4)) == 255
    assert made.getpixel((10, 28)) == 0
