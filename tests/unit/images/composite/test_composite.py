"""What is finished is the original but for what was to be filled, whatever the original is."""

from __future__ import annotations

import io
import os
import pickle
import struct
import subprocess
import sys
import zlib
from dataclasses import replace
from errno import ENOSPC
from hashlib import sha256
from pathlib import Path
from shutil import disk_usage
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageCms, ImageOps
from PIL.Image import Resampling

from batchfill.catalog.pixel_options import Pixels
from batchfill.domain.rows import LocalFile, Stamp
from batchfill.errors import BadPicture
from batchfill.images.composite import libjpeg
from batchfill.images.composite.composite import FinishTask, make_composite
from batchfill.images.prepare.fit import FitTask, fit_files
from batchfill.images.prepare.grow import grow_mask
from batchfill.workers.worker import KEPT_MEMORY
from tests.support.pictures import away

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from batchfill.domain.rows import Box
    from batchfill.images.composite.finished_file import Finished

FULL = Path("/dev/full")
PHOTOGRAPHS = Path(__file__).parents[4] / "jobs/photographs"
SHARP = Pixels(mask_feather=0)
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def local(path: Path) -> LocalFile:
    content = path.read_bytes()
    return LocalFile(path, Stamp(len(content), 0), sha256(content).hexdigest())


def written(image: Image.Image, path: Path, **options: Any) -> Path:
    image.save(path, **options)
    return path


def finished(
    folder: Path,
    original: Path,
    mask: Image.Image,
    output: Image.Image,
    pixels: Pixels = SHARP,
    *,
    area: Box | None = None,
    form: str | None = None,
    note: dict[str, str] | None = None,
) -> tuple[Finished, Image.Image]:
    """Return what finishing tells, and the file that it wrote, opened."""
    task = FinishTask(
        written(output, folder / "raw.png"),
        local(original),
        local(written(mask, folder / "mask.png")),
        pixels,
        area,
        folder / "finished",
        form,
        note or {},
    )
    answer = make_composite(task)
    content = task.target.read_bytes()
    assert (answer.size, answer.sha256) == (len(content), sha256(content).hexdigest())
    image = Image.open(io.BytesIO(content))
    image.load()
    shown = answer.picture
    assert (shown.format, shown.width, shown.height, shown.mode) == (image.format, *image.size, image.mode)
    return answer, image


def noise(size: tuple[int, int], mode: str = "RGB", seed: int = 1) -> Image.Image:
    shape = (size[1], size[0], len(mode)) if len(mode) > 1 else (size[1], size[0])
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, shape, np.uint8))


def untouched(mask: Image.Image, pixels: Pixels, area: Box | None) -> NDArray[np.bool_]:
    """Return the pixels outside the grown and feathered *mask*, or outside what was sent."""
    greys = np.asarray(mask)
    touched = (greys > 0) | (away(greys >= 128) <= pixels.mask_grow)
    outside = away(touched) > pixels.mask_feather
    if area is not None:
        inside = np.zeros_like(outside)
        inside[area[1] : area[3], area[0] : area[2]] = True
        outside |= ~inside
    return np.asarray(outside, np.bool_)


@st.composite
def masks(draw: st.DrawFn) -> Image.Image:
    width, height = draw(st.integers(2, 40)), draw(st.integers(2, 40))
    mask = Image.new("L", (width, height))
    places = st.tuples(st.integers(1, width - 1), st.integers(0, height - 1))
    for place in draw(st.lists(places, max_size=5)):
        mask.putpixel(place, draw(st.sampled_from([60, 127, 200, 255])))
    mask.putpixel(draw(places), 255)
    return mask


@st.composite
def boxes_in(draw: st.DrawFn, size: tuple[int, int]) -> Box | None:
    left, top = draw(st.integers(0, size[0] - 1)), draw(st.integers(0, size[1] - 1))
    box = left, top, draw(st.integers(left + 1, size[0])), draw(st.integers(top + 1, size[1]))
    return draw(st.sampled_from([None, box]))


@given(data=st.data(), mask=masks(), grow=st.integers(0, 7), feather=st.integers(0, 9))
def test_every_pixel_outside_the_mask_is_the_originals(
    data: st.DataObject, mask: Image.Image, grow: int, feather: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("outside")
    form = data.draw(st.sampled_from([None, "webp"]))
    mode = data.draw(st.sampled_from(["RGB", "RGBA"] if form else ["RGB", "RGBA", "L", "LA"]))
    area = data.draw(boxes_in(mask.size))
    pixels = Pixels(mask_grow=grow, mask_feather=feather)
    original = noise(mask.size, mode)
    output = noise(data.draw(st.tuples(st.integers(1, 50), st.integers(1, 50))), seed=2)
    path = written(original, folder / "hero.png")
    answer, image = finished(folder, path, mask, output, pixels, area=area, form=form)
    assert answer.picture.format == ("WEBP" if form else "PNG")
    assert (image.size, image.mode) == (original.size, mode)
    outside = untouched(mask, pixels, area)
    assert np.array_equal(np.asarray(image)[outside], np.asarray(original)[outside])


@given(mask=masks(), feather=st.integers(0, 9), padding=st.integers(0, 9))
def test_an_output_that_equals_what_was_sent_gives_back_the_original(
    mask: Image.Image, feather: int, padding: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("back")
    original = noise(mask.size)
    path = written(original, folder / "hero.png")
    written(mask, folder / "mask.png")
    pixels = Pixels(area="mask", padding=padding, mask_feather=feather)
    sent = fit_files(FitTask(path.read_bytes(), (folder / "mask.png").read_bytes(), pixels))
    assert sent.picture is not None
    output = Image.open(io.BytesIO(sent.picture.content))
    _, image = finished(folder, path, mask, output, pixels, area=sent.area)
    assert np.array_equal(np.asarray(image), np.asarray(original))


def test_inside_the_mask_is_the_output(tmp_path: Path) -> None:
    mask = Image.new("L", (90, 600))
    mask.paste(255, (10, 100, 50, 580))
    original, output = noise(mask.size), noise(mask.size, seed=2)
    _, image = finished(tmp_path, written(original, tmp_path / "hero.png"), mask, output)
    assert np.array_equal(np.asarray(image), np.asarray(Image.composite(output, original, mask)))


@pytest.mark.parametrize("scale", [0.31, 0.5, 0.77, 1.6])
@pytest.mark.parametrize("area", [None, (30, 20, 270, 190)])
def test_an_output_of_another_size_is_not_shifted(scale: float, area: Box | None, tmp_path: Path) -> None:
    """Blobs in every corner have their centres where they had them."""
    down, across = np.indices((200, 300))
    corners = [(60, 50), (240, 50), (60, 160), (240, 160)]
    blobs = np.sum([np.exp(-((across - x) ** 2 + (down - y) ** 2) / 72) for x, y in corners], axis=0)
    original = Image.fromarray((blobs * 240).astype(np.uint8))
    box = area or (0, 0, 300, 200)
    sent = original.crop(box)
    output = sent.resize((round(sent.width * scale), round(sent.height * scale)), Resampling.LANCZOS)
    mask = Image.new("L", (300, 200), 255)
    mask.paste(0, (0, 0, 300, 1))
    _, image = finished(tmp_path, written(original, tmp_path / "hero.png"), mask, output, area=area)
    for x, y in corners:
        part = np.s_[y - 24 : y + 25, x - 24 : x + 25]
        before, after = np.asarray(original)[part], np.asarray(image)[part]
        assert np.allclose(centre(after), centre(before), atol=0.05)


def centre(part: NDArray[np.uint8]) -> tuple[float, float]:
    down, across = np.indices(part.shape)
    return float((down * part).sum() / part.sum()), float((across * part).sum() / part.sum())


def test_strips_meet_without_a_trace(tmp_path: Path) -> None:
    """What is scaled up strip by strip is what would be scaled up at once, but for rounding."""
    mask = Image.new("L", (64, 1000), 255)
    mask.paste(0, (0, 0, 64, 2))
    output = noise((19, 311), seed=2)
    _, image = finished(tmp_path, written(noise(mask.size), tmp_path / "hero.png"), mask, output)
    at_once = np.asarray(output.resize(mask.size, Resampling.LANCZOS)).astype(int)
    assert np.abs(np.asarray(image)[2:] - at_once[2:]).max() <= 1


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("form", [None, "jpg", "webp"])
def test_the_finished_picture_is_upright_and_keeps_what_the_camera_said(
    orientation: int, form: str | None, mask: Image.Image, photo: Image.Image, tmp_path: Path
) -> None:
    path = written(photo, tmp_path / "hero.png", exif=camera(orientation))
    upright = ImageOps.exif_transpose(Image.open(path))
    hole = mask.resize(upright.size)
    _, image = finished(tmp_path, path, hole, Image.new("RGB", upright.size, "teal"), form=form)
    assert image.size == upright.size
    found = image.getexif()
    assert found.get(0x0112, 1) == 1
    assert (found[0x010F], found.get_ifd(0x8769)[0x9003]) == ("Canon", "2024:05:06 07:08:09")
    assert found.get_ifd(0x8825)[2] == (48.0, 12.0, 30.5)
    if form != "jpg":
        outside = np.asarray(hole) == 0
        assert np.array_equal(np.asarray(image)[outside], np.asarray(upright)[outside])


def camera(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = orientation, "Canon"
    exif.get_ifd(0x8769)[0x9003] = "2024:05:06 07:08:09"
    exif.get_ifd(0x8825).update({1: "N", 2: (48.0, 12.0, 30.5)})
    return exif


def test_a_tiffs_description_of_its_own_pixels_is_not_taken_along(
    mask: Image.Image, photo: Image.Image, tmp_path: Path
) -> None:
    path = written(photo, tmp_path / "hero.tiff", tiffinfo={0x010F: "Canon"})
    _, image = finished(tmp_path, path, mask, photo)
    assert dict(image.getexif()) == {0x010F: "Canon"}


@pytest.mark.parametrize("form", [None, "jpg", "webp"])
def test_broken_exif_is_left_out_and_turns_nothing(
    form: str | None, mask: Image.Image, photo: Image.Image, tmp_path: Path
) -> None:
    path = written(photo, tmp_path / "hero.png", exif=b"Exif\0\0MM\0\x3enonsense")
    _, image = finished(tmp_path, path, mask, photo, form=form)
    assert not image.getexif()
    assert image.size == photo.size


def test_exif_that_cannot_be_written_again_turns_the_picture_and_ends_there(
    mask: Image.Image, photo: Image.Image, turned: Image.Exif, tmp_path: Path
) -> None:
    turned[0x010F] = "a maker"
    text, fraction = b"\x01\x0f\0\2\0\0\0\x08", b"\x01\x0f\0\5\0\0\0\1"
    broken = turned.tobytes().replace(text, fraction)
    path = written(photo, tmp_path / "hero.png", exif=broken)
    _, image = finished(tmp_path, path, mask.transpose(Image.Transpose.ROTATE_270), photo)
    assert image.size == photo.size[::-1]
    assert "exif" not in image.info


def everything(size: tuple[int, int] = (24, 16)) -> dict[str, Image.Image]:
    """Return a picture of every mode that 8 bits can hold."""
    colours = noise(size, "RGBA")
    indexed = colours.convert("RGB").quantize(16)
    return {
        "1": colours.convert("1"),
        "L": colours.convert("L"),
        "LA": colours.convert("LA"),
        "P": indexed,
        "PA": indexed.convert("PA"),
        "RGB": colours.convert("RGB"),
        "RGBA": colours,
        "CMYK": colours.convert("RGB").convert("CMYK"),
        "YCbCr": colours.convert("RGB").convert("YCbCr"),
        "LAB": Image.merge("LAB", noise(size).split()),
    }


@pytest.mark.parametrize(
    ("mode", "becomes"),
    [
        *[("1", "L"), ("L", "L"), ("LA", "LA"), ("P", "RGB"), ("PA", "RGBA"), ("RGB", "RGB")],
        *[("RGBA", "RGBA"), ("CMYK", "RGB"), ("YCbCr", "RGB"), ("LAB", "RGB")],
    ],
)
def test_every_mode_is_finished_in_the_nearest_one(mode: str, becomes: str, tmp_path: Path) -> None:
    path = written(everything()[mode], tmp_path / "hero.tiff")
    expected = np.asarray(Image.open(path).convert(becomes))
    mask = Image.new("L", (24, 16))
    mask.paste(255, (4, 4, 9, 9))
    _, image = finished(tmp_path, path, mask, Image.new("RGB", (24, 16), "teal"))
    assert image.mode == becomes
    outside = np.asarray(mask) == 0
    assert np.array_equal(np.asarray(image)[outside], expected[outside])
    teal = Image.new("RGB", (1, 1), "teal").convert(becomes).convert("RGB")
    assert image.convert("RGB").getpixel((6, 6)) == teal.getpixel((0, 0))


@pytest.mark.parametrize("transparency", [3, bytes(range(16))])
def test_a_palette_with_transparency_becomes_alpha(transparency: bytes | int, tmp_path: Path) -> None:
    path = written(everything()["P"], tmp_path / "hero.png", transparency=transparency)
    mask = Image.new("L", (24, 16))
    mask.paste(255, (4, 4, 9, 9))
    _, image = finished(tmp_path, path, mask, noise((24, 16), seed=2))
    expected = Image.open(path).convert("RGBA")
    assert image.mode == "RGBA"
    outside = np.asarray(mask) == 0
    assert (np.asarray(image)[~outside][:, 3] == 255).all()
    assert np.array_equal(np.asarray(image)[outside], np.asarray(expected)[outside])


@pytest.mark.parametrize(
    ("mode", "key", "becomes"), [("1", 255, "LA"), ("L", 7, "LA"), ("RGB", (1, 2, 3), "RGBA")]
)
def test_a_colour_that_stands_for_nothing_becomes_alpha(
    mode: str, key: int | tuple[int, ...], becomes: str, tmp_path: Path
) -> None:
    original = everything()[mode]
    original.putpixel((0, 0), key)
    path = written(original, tmp_path / "hero.png", transparency=key)
    mask = Image.new("L", (24, 16))
    mask.paste(255, (4, 4, 9, 9))
    _, image = finished(tmp_path, path, mask, noise((24, 16), seed=2))
    assert image.mode == becomes
    assert image.getchannel("A").getpixel((0, 0)) == 0
    assert "transparency" not in image.info


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_what_was_filled_of_a_cut_out_is_seen(mode: str, tmp_path: Path) -> None:
    """The picture is its own mask: what is transparent is filled."""
    original = noise((24, 16), "RGBA").convert(mode)
    alpha = Image.new("L", (24, 16), 255)
    alpha.paste(0, (4, 4, 20, 9))
    original.putalpha(alpha)
    path = written(original, tmp_path / "p.png")
    output = noise((24, 16), seed=2)
    task = FinishTask(
        written(output, tmp_path / "raw.png"),
        local(path),
        local(path),
        Pixels(mask_from="alpha", mask_feather=0),
        None,
        tmp_path / "finished",
        None,
        {},
    )
    make_composite(task)
    with Image.open(task.target) as image:
        found = np.asarray(image)
        assert image.getchannel("A").getextrema() == (255, 255)
    inside = np.asarray(alpha) == 0
    assert np.array_equal(found[~inside], np.asarray(original)[~inside])
    assert np.array_equal(found[inside], np.asarray(output.convert(mode))[inside])


def test_a_blend_takes_nothing_of_a_colour_that_was_hidden(tmp_path: Path) -> None:
    path = written(Image.new("RGBA", (40, 40), (0, 0, 0, 0)), tmp_path / "p.png")
    mask = Image.new("L", (40, 40))
    mask.paste(255, (15, 15, 25, 25))
    white = Image.new("RGB", (40, 40), "white")
    _, image = finished(tmp_path, path, mask, white, Pixels(mask_feather=8))
    shown = np.asarray(image)
    seen = shown[..., 3] > 0
    assert 100 < seen.sum() < 1600
    assert (shown[seen][:, :3] == 255).all()


@pytest.mark.parametrize("form", [None, "webp"])
def test_outside_of_the_mask_alpha_is_kept_and_so_are_the_colours_under_it(
    form: str | None, tmp_path: Path
) -> None:
    original = noise((24, 16), "RGBA")
    original.paste((9, 8, 7, 0), (0, 0, 12, 16))
    mask = Image.new("L", (24, 16))
    mask.paste(255, (4, 4, 20, 9))
    path = written(original, tmp_path / "hero.png")
    _, image = finished(tmp_path, path, mask, noise((24, 16), seed=2), Pixels(mask_feather=3), form=form)
    outside = untouched(mask, Pixels(mask_feather=3), None)
    assert np.array_equal(np.asarray(image)[outside], np.asarray(original)[outside])


@pytest.mark.parametrize(
    ("kind", "mode"), [("png", "I;16"), ("tiff", "I;16"), ("tiff", "I;16B"), ("tiff", "I")]
)
def test_greys_of_16_bits_stay_so_to_the_bit(kind: str, mode: str, tmp_path: Path) -> None:
    values = np.random.default_rng(1).integers(0, 2**16, (600, 24)).astype(np.uint16)
    path = tmp_path / f"hero.{kind}"
    original = Image.fromarray(values)
    if mode == "I":
        original = Image.fromarray(values.astype(np.int32))
    elif mode == "I;16B":
        original = Image.frombytes("I;16B", (24, 600), values.astype(">u2").tobytes())
    written(original, path)
    with Image.open(path) as stored:
        assert stored.mode == mode
    mask = Image.new("L", (24, 600))
    mask.paste(255, (4, 100, 9, 590))
    pixels = Pixels(mask_feather=3)
    output = Image.new("L", (24, 600), 0x12)
    _, image = finished(tmp_path, path, mask, output, pixels, form="webp")
    assert (image.format, image.mode) == ("PNG", "I;16")
    outside = untouched(mask, pixels, None)
    assert np.array_equal(np.asarray(image)[outside], values[outside])
    assert (np.asarray(image)[100:590, 4:9] == 0x1212).all()


def test_values_that_no_finished_file_holds_are_refused(mask: Image.Image, tmp_path: Path) -> None:
    floats = written(Image.new("F", mask.size, 0.5), tmp_path / "floats.tiff")
    with pytest.raises(BadPicture, match=r"^floats\.tiff holds floating-point values: save it with 8 bits"):
        finished(tmp_path, floats, mask, mask)
    for value in (70_000, -1):
        wide = written(Image.new("I", mask.size, value), tmp_path / "wide.tiff")
        with pytest.raises(BadPicture, match=r"^wide\.tiff holds values of 32 bits: save it with 8 or 16"):
            finished(tmp_path, wide, mask, mask)


def test_colours_of_16_bits_are_read_as_8(mask: Image.Image, tmp_path: Path) -> None:
    values = np.random.default_rng(1).integers(0, 2**16, (mask.height, mask.width, 3)).astype(">u2")
    path = tmp_path / "hero.png"
    path.write_bytes(png_of_16_bits(values))
    _, image = finished(tmp_path, path, mask, noise(mask.size, seed=2))
    outside = np.asarray(mask) == 0
    assert image.mode == "RGB"
    assert np.array_equal(np.asarray(image)[outside], (values >> 8)[outside])


def png_of_16_bits(values: NDArray[Any]) -> bytes:
    """Return colours (height, width, 3), of two bytes each, as a PNG: Pillow writes none."""
    height, width, _ = values.shape
    rows = b"".join(b"\0" + row.tobytes() for row in values)
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0))]
    chunks += [(b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in chunks
    )


@pytest.mark.parametrize("form", [None, "jpg", "webp"])
def test_the_colour_profile_is_kept(
    form: str | None, mask: Image.Image, photo: Image.Image, tmp_path: Path
) -> None:
    path = written(photo, tmp_path / "hero.png", icc_profile=SRGB)
    _, image = finished(tmp_path, path, mask, photo, form=form)
    assert image.info["icc_profile"] == SRGB


@pytest.mark.parametrize("form", [None, "jpg", "webp"])
def test_the_profile_of_inks_says_nothing_of_the_colours_they_became(
    form: str | None, mask: Image.Image, photo: Image.Image, tmp_path: Path
) -> None:
    path = written(photo.convert("CMYK"), tmp_path / "hero.jpg", icc_profile=SRGB)
    _, image = finished(tmp_path, path, mask, photo, form=form)
    # A JPEG of a JPEG stays one of inks, of which their profile is right.
    assert (image.mode, "icc_profile" in image.info) == (("CMYK", True) if form == "jpg" else ("RGB", False))


@pytest.mark.parametrize(
    ("mode", "form", "kind"),
    [
        *[("RGB", None, "PNG"), ("RGB", "jpg", "JPEG"), ("RGB", "webp", "WEBP"), ("RGBA", "webp", "WEBP")],
        *[("L", "jpg", "JPEG"), ("L", "webp", "PNG"), ("LA", "jpg", "PNG"), ("RGBA", "jpg", "PNG")],
    ],
)
def test_a_format_that_cannot_hold_the_picture_gives_way_to_png(
    mode: str, form: str | None, kind: str, mask: Image.Image, tmp_path: Path
) -> None:
    path = written(noise(mask.size, "RGBA").convert(mode), tmp_path / "hero.png")
    answer, image = finished(tmp_path, path, mask, noise(mask.size, seed=2), form=form)
    assert (answer.picture.format, image.mode) == (kind, mode)
    assert answer.picture.suffix == {"PNG": ".png", "JPEG": ".jpg", "WEBP": ".webp"}[kind]


@pytest.mark.parametrize(("form", "width"), [("webp", 16_384), ("jpg", 65_501)])
def test_a_picture_too_long_for_its_format_becomes_a_png(form: str, width: int, tmp_path: Path) -> None:
    mask = Image.new("L", (width, 1))
    mask.putpixel((width - 1, 0), 255)
    path = written(noise(mask.size), tmp_path / "hero.png")
    answer, image = finished(tmp_path, path, mask, Image.new("RGB", (9, 9), "teal"), form=form)
    assert answer.picture.format == "PNG"
    assert image.getpixel((width - 1, 0)) == (0, 128, 128)


def test_more_words_than_a_jpeg_holds_make_it_a_png(
    mask: Image.Image, photo: Image.Image, tmp_path: Path
) -> None:
    path = written(photo, tmp_path / "hero.png")
    note = {"prompt": "a long story " * 4000}
    answer, image = finished(tmp_path, path, mask, photo, form="jpg", note=note)
    assert answer.picture.format == "PNG"
    assert image.info["prompt"] == note["prompt"]


def test_a_jpeg_is_nearly_the_original_outside_the_mask(tmp_path: Path) -> None:
    """JPEG is lossy: of a photograph that was one before, its second compression leaves this much."""
    path = written(Image.open(PHOTOGRAPHS / "astronaut.jpg"), tmp_path / "hero.png")
    mask = Image.new("L", (512, 512))
    mask.paste(255, (100, 100, 200, 200))
    _, image = finished(tmp_path, path, mask, Image.new("RGB", (512, 512)), form="jpg")
    outside = np.asarray(grow_mask(mask, 16)) == 0
    apart = np.abs(np.asarray(image).astype(int) - np.asarray(Image.open(path)))[outside]
    assert apart.mean() < 1
    assert 10 * np.log10(255**2 / (apart**2).mean()) > 45


@pytest.mark.parametrize("name", ["hero.png", "mask.png"])
def test_a_file_that_changed_or_went_is_refused_by_its_name(
    name: str, mask: Image.Image, photo: Image.Image, tmp_path: Path
) -> None:
    for file, image in {"hero.png": photo, "mask.png": mask, "raw.png": photo}.items():
        written(image, tmp_path / file)
    picture, hole = local(tmp_path / "hero.png"), local(tmp_path / "mask.png")
    target = tmp_path / "finished"
    task = FinishTask(tmp_path / "raw.png", picture, hole, SHARP, None, target, None, {})
    written(mask.point([9] * 256), tmp_path / name)
    with pytest.raises(BadPicture, match=rf"^{name} is no longer the file that was sent$"):
        make_composite(task)
    (tmp_path / name).unlink()
    with pytest.raises(BadPicture, match=rf"^{name} cannot be read: No such file or directory$"):
        make_composite(task)
    assert not target.exists()


def test_a_damaged_output_is_refused(mask: Image.Image, photo: Image.Image, tmp_path: Path) -> None:
    raw = written(photo, tmp_path / "raw.webp")
    picture, hole = (written(each, tmp_path / f"{each.mode}.png") for each in (photo, mask))
    target = tmp_path / "finished"
    task = FinishTask(raw, local(picture), local(hole), SHARP, None, target, None, {})
    raw.write_bytes(raw.read_bytes()[:-40])
    with pytest.raises(BadPicture, match=r"^raw\.webp is damaged or cut short"):
        make_composite(task)
    raw.unlink()
    with pytest.raises(BadPicture, match=r"^raw\.webp cannot be read: No such file or directory$"):
        make_composite(task)
    assert not target.exists()


def test_an_animated_original_is_refused(mask: Image.Image, photo: Image.Image, tmp_path: Path) -> None:
    frames = written(photo, tmp_path / "hero.gif", save_all=True, append_images=[mask])
    with pytest.raises(BadPicture, match=r"^hero\.gif is animated or has several pages"):
        finished(tmp_path, frames, mask, photo)


def test_a_mask_of_another_shape_is_refused(photo: Image.Image, tmp_path: Path) -> None:
    path = written(photo, tmp_path / "hero.png")
    with pytest.raises(BadPicture, match=r"^mask\.png is 64x64 but its picture is 96x64"):
        finished(tmp_path, path, noise((64, 64), "L"), photo)


@pytest.mark.skipif(not FULL.exists(), reason="this system has no disk that is always full")
def test_a_disk_that_takes_nothing_is_its_own_error(
    mask: Image.Image, photo: Image.Image, tmp_path: Path
) -> None:
    path = written(photo, tmp_path / "hero.png")
    task = FinishTask(
        path, local(path), local(written(mask, tmp_path / "m.png")), SHARP, None, FULL, None, {}
    )
    for form in (None, "jpg", "webp"):
        with pytest.raises(OSError, match="No space left on device"):
            make_composite(replace(task, format=form))


def test_a_row_is_finished_the_same_way_twice(mask: Image.Image, photo: Image.Image, tmp_path: Path) -> None:
    path = written(photo, tmp_path / "hero.png")
    first, _ = finished(tmp_path, path, mask, photo, note={"prompt": "a fox"})
    second, _ = finished(tmp_path, path, mask, photo, note={"prompt": "a fox"})
    assert first == second


@pytest.mark.parametrize("form", [None, "jpg", "webp"])
def test_tasks_and_answers_travel_between_processes(
    form: str | None, mask: Image.Image, photo: Image.Image, tmp_path: Path
) -> None:
    path = written(photo, tmp_path / "hero.png")
    hole = local(written(mask, tmp_path / "mask.png"))
    task = FinishTask(
        path, local(path), hole, SHARP, (0, 0, 96, 64), tmp_path / "it", form, {"prompt": "a fox"}
    )
    assert pickle.loads(pickle.dumps(task)) == task
    answer = make_composite(task)
    assert pickle.loads(pickle.dumps(answer)) == answer


def test_a_jpeg_that_is_damaged_in_places_is_filled_and_encoded_whole(
    mask: Image.Image, photo: Image.Image, tmp_path: Path
) -> None:
    content = bytearray(written(photo, tmp_path / "hero.jpg", quality=95).read_bytes())
    at = content.index(b"\xff\xda") + 300
    del content[at : at + 400]
    (tmp_path / "hero.jpg").write_bytes(content)
    teal = Image.new("RGB", photo.size, "teal")
    answer, image = finished(tmp_path, tmp_path / "hero.jpg", mask, teal, form="same")
    assert answer.made_as == "jpeg: encoded whole, it is damaged in places"
    apart = np.abs(np.asarray(image, np.int16) - np.asarray(teal))
    assert apart[np.asarray(mask) > 0].mean() < 6


def test_a_jpeg_that_is_cut_short_is_refused(mask: Image.Image, photo: Image.Image, tmp_path: Path) -> None:
    content = written(photo, tmp_path / "hero.jpg", quality=95).read_bytes()
    (tmp_path / "hero.jpg").write_bytes(content[: len(content) // 2])
    with pytest.raises(BadPicture, match=r"hero\.jpg is damaged or cut short"):
        finished(tmp_path, tmp_path / "hero.jpg", mask, photo, form="same")


def test_a_disk_without_room_for_libjpeg_is_not_the_pictures_fault(
    mask: Image.Image, photo: Image.Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(photo, tmp_path / "hero.jpg")
    monkeypatch.setattr(libjpeg, "disk_usage", lambda folder: disk_usage(folder)._replace(free=100))
    with pytest.raises(OSError, match="No space left") as caught:
        finished(tmp_path, path, mask, photo, form="same")
    assert caught.value.errno == ENOSPC


def test_the_grey_of_16_bits_that_stands_for_transparency_stays(
    mask: Image.Image, photo: Image.Image, tmp_path: Path
) -> None:
    deep = Image.fromarray(np.asarray(photo.convert("L"), np.uint16) * 257)
    path = written(deep, tmp_path / "hero.png", transparency=515)
    _, image = finished(tmp_path, path, mask, photo)
    assert (image.mode, image.info["transparency"]) == ("I;16", 515)


@pytest.mark.skipif(sys.platform != "linux", reason="the peak of a process is read as Linux tells it")
@pytest.mark.parametrize("form", ["png", "jpg"])
def test_finishing_holds_one_picture_at_a_time(form: str, tmp_path: Path) -> None:
    """A picture takes four bytes a pixel, its mask one, what fades its edge four; the rest is the output.

    The coefficients of a JPEG, in place of its pixels, take three, and libjpeg as many once more.
    """
    size = (3000, 2000)
    written(Image.effect_noise(size, 40).convert("RGB"), tmp_path / "hero.jpg")
    mask = Image.new("L", size)
    mask.paste(255, (50, 50, 2950, 1950))
    written(mask, tmp_path / "mask.png")
    written(noise((1152, 768)), tmp_path / "raw.png")
    command, environ = [sys.executable, "-c", PEAK, form], {**os.environ, **KEPT_MEMORY}
    grown_by = int(subprocess.check_output(command, cwd=tmp_path, env=environ))
    assert grown_by < {"png": 13, "jpg": 15}[form] * size[0] * size[1]


PEAK = """
import sys
from errno import ENOSPC
from hashlib import sha256
from pathlib import Path
from shutil import disk_usage
from batchfill.catalog.pixel_options import Pixels
from batchfill.images.prepare import grow as spread
from batchfill.images.composite.composite import FinishTask, make_composite as finish
from batchfill.domain.rows import LocalFile, Stamp

def peak():
    told = Path("/proc/self/status").read_text()
    return 1024 * int(told.partition("VmHWM:")[2].split()[0])

def local(name):
    content = Path(name).read_bytes()
    return LocalFile(Path(name), Stamp(len(content), 0), sha256(content).hexdigest())

task = FinishTask(
    Path("raw.png"), local("hero.jpg"), local("mask.png"), Pixels(), None, Path("finished"), sys.argv[1], {}
)
before = peak()
finish(task)
print(peak() - before)
"""
