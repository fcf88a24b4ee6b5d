from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageOps

from batchfill.catalog.pixel_options import Pixels
from batchfill.catalog.sizes import SizeRule
from batchfill.domain.drawn_masks import read_drawn_mask
from batchfill.errors import BadPicture
from batchfill.images.prepare.fit import FitTask, FittedFile, fit_files, make_mask

if TYPE_CHECKING:
    from collections.abc import Callable

    Encode = Callable[..., bytes]


def decode(file: FittedFile | None) -> Image.Image:
    assert file is not None
    return Image.open(io.BytesIO(file.content))


def same(one: Image.Image, other: Image.Image) -> bool:
    return np.array_equal(np.asarray(one), np.asarray(other))


def down_to(side: int) -> SizeRule:
    """Return the rule of a model that works at a longer side of at most *side* pixels."""
    return SizeRule(field="fit", default="it", megapixel=1, fits={"it": side}, multiple=1)


def fit_picture(content: bytes, side: int | None = None, limit: int | None = None) -> FittedFile:
    rule = None if side is None else down_to(side)
    fitted = fit_files(FitTask(content, None, rule=rule, picture_limit=limit)).picture
    assert fitted is not None
    return fitted


@pytest.mark.parametrize(
    ("kind", "mime"), [("PNG", "image/png"), ("JPEG", "image/jpeg"), ("WEBP", "image/webp")]
)
def test_a_picture_that_is_right_is_sent_as_it_is(
    photo: Image.Image, kind: str, mime: str, encode: Encode
) -> None:
    content = encode(photo, kind)
    assert fit_picture(content, 96) == FittedFile(content, mime, (96, 64), "unchanged")


def test_a_picture_is_scaled_down_and_stays_lossless(photo: Image.Image, encode: Encode) -> None:
    fitted = fit_picture(encode(photo, "JPEG"), 48)
    assert (fitted.how, fitted.mime, fitted.size) == ("PNG", "image/png", (48, 32))
    assert decode(fitted).size == (48, 32)


def test_a_picture_is_never_scaled_up(photo: Image.Image, encode: Encode) -> None:
    assert fit_picture(encode(photo), 192).how == "unchanged"


def test_rotation_is_applied_and_its_mark_removed(
    photo: Image.Image, turned: Image.Exif, encode: Encode
) -> None:
    fitted = fit_picture(encode(photo, "PNG", exif=turned))
    upright = decode(fitted)
    assert upright.size == fitted.size == (64, 96)
    assert 0x0112 not in upright.getexif()
    assert same(upright, photo.transpose(Image.Transpose.ROTATE_270))


def test_a_large_jpeg_is_scaled_as_if_decoded_in_full(
    photo: Image.Image, turned: Image.Exif, encode: Encode
) -> None:
    large = photo.resize((960, 640), Image.Resampling.BICUBIC)
    fitted = decode(fit_picture(encode(large, "JPEG", quality=95, exif=turned), 96))
    slowly = large.transpose(Image.Transpose.ROTATE_270).resize((64, 96), Image.Resampling.LANCZOS)
    assert np.abs(np.asarray(fitted).astype(int) - np.asarray(slowly)).mean() < 2


def test_transparency_is_dropped_not_composited(
    photo: Image.Image, mask: Image.Image, encode: Encode
) -> None:
    clear = photo.copy()
    clear.putalpha(mask)
    assert same(decode(fit_picture(encode(clear))), photo)


def test_a_transparent_colour_is_dropped(photo: Image.Image, encode: Encode) -> None:
    fitted = decode(fit_picture(encode(photo, "PNG", transparency=(0, 0, 200))))
    assert "transparency" not in fitted.info
    assert same(fitted, photo)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "PA", "RGBA", "CMYK", "YCbCr", "LAB", "I;16"])
def test_every_mode_becomes_grey_or_rgb(photo: Image.Image, mode: str, encode: Encode) -> None:
    if mode == "I;16":
        source = Image.fromarray(np.asarray(photo.convert("L")).astype(np.uint16) * 257)
    elif mode == "LAB":
        source = Image.new("LAB", photo.size)
    else:
        source = photo.convert("RGBA" if mode == "PA" else mode)
    content = encode(source, "TIFF" if mode in ("CMYK", "YCbCr", "LAB") else "PNG")
    assert decode(fit_picture(content)).mode in ("L", "RGB")


def test_16_bit_greys_are_scaled_not_clipped(photo: Image.Image, encode: Encode) -> None:
    grey = np.asarray(photo.convert("L"))
    fitted = decode(fit_picture(encode(Image.fromarray(grey.astype(np.uint16) * 257))))
    assert np.abs(np.asarray(fitted).astype(int) - grey).max() <= 1


def test_floating_point_pictures_are_refused_in_words(photo: Image.Image, encode: Encode) -> None:
    with pytest.raises(BadPicture, match="holds floating-point values"):
        fit_picture(encode(photo.convert("F"), "TIFF"))


def test_the_colour_profile_is_kept(photo: Image.Image, encode: Encode) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    content = encode(photo, "PNG", icc_profile=profile)
    for limit in (None, 6000):
        assert decode(fit_picture(content, 48, limit)).info["icc_profile"] == profile


def test_what_does_not_fit_losslessly_becomes_a_jpeg_and_says_which(
    photo: Image.Image, encode: Encode
) -> None:
    content = encode(photo)
    fitted = fit_picture(content, None, 9000)
    assert (fitted.how, fitted.mime) == ("JPEG q95", "image/jpeg")
    lower = fit_picture(content, None, len(fitted.content) - 1)
    assert lower.how == "JPEG q90"
    assert len(lower.content) < len(fitted.content)


def test_what_cannot_be_made_small_enough_is_refused(photo: Image.Image, encode: Encode) -> None:
    with pytest.raises(
        BadPicture, match=r"picture cannot be made small enough: [\d,]+ bytes as JPEG of quality 50"
    ):
        fit_picture(encode(photo), None, 300)


def test_a_mask_becomes_grey_and_as_large_as_its_picture(
    photo: Image.Image, mask: Image.Image, encode: Encode
) -> None:
    for mode in ("1", "L", "LA", "P", "RGB", "RGBA"):
        fitted = fit_files(FitTask(encode(photo), encode(mask.convert(mode)), rule=down_to(48)))
        small = decode(fitted.mask)
        assert (small.format, small.mode, small.size) == ("PNG", "L", (48, 32))
        assert small.getpixel((24, 16)) == 255
        assert small.getpixel((0, 0)) == 0


def test_a_mask_that_is_right_is_sent_as_it_is(photo: Image.Image, mask: Image.Image, encode: Encode) -> None:
    content = encode(mask)
    fitted = fit_files(FitTask(encode(photo), content)).mask
    assert fitted is not None
    assert fitted.content is content


def test_a_smaller_mask_is_scaled_up_to_its_picture(
    photo: Image.Image, mask: Image.Image, encode: Encode
) -> None:
    assert decode(fit_files(FitTask(encode(photo), encode(mask.resize((48, 32))))).mask).size == (96, 64)


def test_a_mask_is_turned_as_its_own_exif_says(
    photo: Image.Image, mask: Image.Image, turned: Image.Exif, encode: Encode
) -> None:
    both = fit_files(FitTask(encode(photo, "PNG", exif=turned), encode(mask, "PNG", exif=turned)))
    assert decode(both.picture).size == decode(both.mask).size == (64, 96)


def test_a_mask_of_a_remote_picture_is_scaled_by_itself(mask: Image.Image, encode: Encode) -> None:
    fitted = fit_files(FitTask(None, encode(mask), rule=down_to(48)))
    assert fitted.picture is None
    assert decode(fitted.mask).size == (48, 32)


def test_a_mask_that_does_not_suit_is_refused(photo: Image.Image, mask: Image.Image, encode: Encode) -> None:
    with pytest.raises(BadPicture, match=r"hero\.png is black all over"):
        fit_files(FitTask(encode(photo), encode(Image.new("L", (96, 64))), mask_name="hero.png"))
    with pytest.raises(BadPicture, match=r"mask is 64x64 but its picture is 96x64"):
        fit_files(FitTask(encode(photo), encode(mask.resize((64, 64)))))


def test_a_damaged_picture_is_refused_by_its_name(photo: Image.Image, encode: Encode) -> None:
    with pytest.raises(BadPicture, match=r"hero\.jpg is damaged or cut short"):
        fit_files(FitTask(encode(photo, "JPEG")[:-100], None, picture_name="hero.jpg"))


def test_tasks_and_answers_travel_between_processes(
    photo: Image.Image, mask: Image.Image, encode: Encode
) -> None:
    task = FitTask(encode(photo), encode(mask), rule=down_to(48))
    assert pickle.loads(pickle.dumps(task)) == task
    fitted = fit_files(task)
    assert pickle.loads(pickle.dumps(fitted)) == fitted


def test_a_mask_fits_a_picture_whose_sent_size_is_of_a_slightly_other_shape(encode: Encode) -> None:
    """640x427 is worked on at 608x416, which is no reason to refuse a mask of 640x427."""
    picture = Image.new("RGB", (640, 427), "teal")
    hole = Image.new("L", (640, 427), 0)
    hole.paste(255, (100, 100, 300, 300))
    rule = SizeRule(field="megapixels", default="0.25", megapixel=1024**2, fits={}, multiple=32)
    fitted = fit_files(FitTask(encode(picture, "PNG"), encode(hole, "PNG"), rule=rule))
    assert decode(fitted.mask).size == decode(fitted.picture).size == (608, 416)


def test_the_area_around_the_mask_is_cut_out_and_said(encode: Encode) -> None:
    noise = np.random.default_rng(3).integers(0, 256, (600, 800, 3), np.uint8)
    hole = Image.new("L", (800, 600), 0)
    hole.paste(255, (300, 200, 360, 240))
    pixels = Pixels(area="mask", padding=40)
    fitted = fit_files(FitTask(encode(Image.fromarray(noise)), encode(hole), pixels, down_to(160)))
    assert fitted.area == (260, 160, 400, 280)
    assert np.array_equal(np.asarray(decode(fitted.picture)), noise[160:280, 260:400])
    assert decode(fitted.mask).getbbox() == (40, 40, 100, 80)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_area_is_that_of_the_upright_picture(mask: Image.Image, orientation: int, encode: Encode) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = encode(mask.convert("RGB"), exif=exif)
    hole = encode(mask, exif=exif)
    fitted = fit_files(FitTask(content, hole, Pixels(area="mask", padding=3)))
    assert same(decode(fitted.picture).convert("L"), decode(fitted.mask))


def test_what_is_black_in_the_mask_may_be_filled(
    photo: Image.Image, mask: Image.Image, encode: Encode
) -> None:
    fitted = fit_files(FitTask(encode(photo), encode(ImageOps.invert(mask)), Pixels(mask_from="black")))
    assert same(decode(fitted.mask), mask)


def test_broken_exif_turns_nothing_and_refuses_nothing(
    photo: Image.Image, mask: Image.Image, encode: Encode
) -> None:
    broken = b"Exif\0\0MM\0\x3enonsense"
    fitted = fit_files(FitTask(encode(photo, exif=broken), encode(mask, exif=broken), rule=down_to(48)))
    assert decode(fitted.picture).size == decode(fitted.mask).size == (48, 32)


def test_values_of_32_bits_are_refused_before_they_are_paid_for(encode: Encode) -> None:
    content = encode(Image.new("I", (9, 9), 70_000), "TIFF")
    with pytest.raises(BadPicture, match=r"^picture holds values of 32 bits: save it with 8 or 16 bits"):
        fit_files(FitTask(content, None))


@pytest.mark.parametrize(("words", "box"), [("box:20,10,40,30", (20, 10, 60, 40)), ("alpha", (5, 5, 30, 40))])
def test_a_mask_without_a_file_is_made_for_what_is_sent(
    words: str, box: tuple[int, int, int, int], photo: Image.Image, encode: Encode
) -> None:
    alpha = Image.new("L", photo.size, 255)
    alpha.paste(0, (5, 5, 30, 40))
    photo.putalpha(alpha)
    content, drawn = encode(photo), read_drawn_mask(words)
    mask = content if words == "alpha" else drawn
    task = FitTask(content, mask, Pixels(mask_from="alpha"), rule=down_to(48))
    expected = Image.new("L", photo.size)
    expected.paste(255, box)
    fitted = fit_files(pickle.loads(pickle.dumps(task)))
    assert same(decode(fitted.mask), expected.resize((48, 32), Image.Resampling.BOX))
    # Sent as it is, the picture has its own size, and so has the mask.
    alone = make_mask(task)
    assert alone.picture is None
    assert same(decode(alone.mask), expected)


def test_a_drawn_mask_grows_as_any_other(photo: Image.Image, encode: Encode) -> None:
    task = FitTask(encode(photo), read_drawn_mask("box:40,20,10,10"), Pixels(mask_grow=5, mask_from="black"))
    assert decode(fit_files(task).mask).getbbox() == (35, 15, 55, 35)


@pytest.mark.parametrize(("fill", "source"), [(150, "white"), (90, "alpha")])
def test_a_mask_that_would_be_filled_in_part_is_not_sent(
    fill: int, source: str, photo: Image.Image, encode: Encode
) -> None:
    mask = Image.new("L", photo.size, 0 if source == "white" else 255)
    mask.paste(fill, (20, 10, 60, 40))
    if source == "alpha":
        layer = photo.copy()
        layer.putalpha(mask)
        mask = layer
    with pytest.raises(BadPicture, match=f"{fill} of 255, which would be filled only in part"):
        fit_files(FitTask(encode(photo), encode(mask), Pixels(mask_from=source)))


PHOTOGRAPHS = Path(__file__).parents[4] / "jobs" / "photographs"


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
@pytest.mark.parametrize("sides", [(512, 170), (512, 146), (512, 128), (512, 100), (512, 74)])
def test_what_is_quickly_made_smaller_is_near_to_what_is_finely_scaled_all_the_way(
    kind: str, sides: tuple[int, int], encode: Encode
) -> None:
    with Image.open(PHOTOGRAPHS / "astronaut.jpg") as image:
        content = encode(image.convert("RGB"), kind, **({"quality": 92} if kind == "JPEG" else {}))
    fitted = decode(fit_picture(content, sides[1]))
    fine = decode_bytes(content).resize(fitted.size, Image.Resampling.LANCZOS)
    apart = np.asarray(fitted, np.float64) - np.asarray(fine, np.float64)
    assert 10 * np.log10(255**2 / max((apart**2).mean(), 1e-9)) > 42


def decode_bytes(content: bytes) -> Image.Image:
    return Image.open(io.BytesIO(content)).convert("RGB")


@pytest.mark.parametrize("turn", [1, 3, 6, 8])
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_an_area_lies_where_it_lay_however_the_picture_was_decoded(
    kind: str, turn: int, encode: Encode
) -> None:
    exif = Image.Exif()
    exif[0x0112] = turn
    across = np.linspace(0, 255, 640)[None, :].repeat(480, axis=0)
    down = np.linspace(0, 255, 480)[:, None].repeat(640, axis=1)
    stored = Image.fromarray(np.stack([across, down, across], axis=-1).astype(np.uint8))
    content = encode(stored, kind, exif=exif)
    upright = ImageOps.exif_transpose(Image.open(io.BytesIO(content))).convert("RGB")
    hole = Image.new("L", upright.size)
    hole.paste(255, (101, 77, 401, 397))
    pixels = Pixels(area="mask", padding="13")
    fitted = fit_files(FitTask(content, encode(hole), pixels, down_to(64)))
    assert fitted.area is not None
    assert fitted.picture is not None
    expected = upright.crop(fitted.area).resize(fitted.picture.size, Image.Resampling.BOX)
    apart = np.asarray(decode(fitted.picture), np.int16) - np.asarray(expected, np.int16)
    # A pixel that is decoded at an eighth is eight of these slopes: a shift by one of them would show.
    assert np.abs(apart[1:-1, 1:-1]).max() <= 3


def test_a_png_a_little_too_large_is_packed_harder_before_it_loses_anything(encode: Encode) -> None:
    with Image.open(PHOTOGRAPHS / "astronaut.jpg") as image:
        small = image.convert("RGB").resize((128, 128))
    quick = fit_picture(encode(small, "BMP"))
    harder = fit_picture(encode(small, "BMP"), limit=len(quick.content) - 1)
    assert (quick.how, harder.how) == ("PNG", "PNG")
    assert len(harder.content) < len(quick.content)
    assert same(decode(harder), small)
    assert fit_picture(encode(small, "BMP"), limit=len(quick.content) // 2).how.startswith("JPEG")
