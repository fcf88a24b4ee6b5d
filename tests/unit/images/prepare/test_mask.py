from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps

from batchfill.catalog.pixel_options import Pixels
from batchfill.errors import BadPicture
from batchfill.images.prepare.mask import read_mask, scale_mask

if TYPE_CHECKING:
    from collections.abc import Callable

    Encode = Callable[..., bytes]

SIZE = (96, 64)


def read(content: bytes, size: tuple[int, int] = SIZE, **pixels: str | int) -> Image.Image:
    return read_mask(io.BytesIO(content), Pixels(**pixels), "m.png", size)  # type: ignore[arg-type]


def same(one: Image.Image, other: Image.Image) -> bool:
    return one.mode == other.mode and np.array_equal(np.asarray(one), np.asarray(other))


def strokes(mask: Image.Image, colour: tuple[int, int, int]) -> Image.Image:
    """Return an empty layer on which *mask* was drawn."""
    layer = Image.new("RGBA", mask.size)
    layer.paste((*colour, 255), mask=mask)
    return layer


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA"])
def test_a_mask_of_any_mode_becomes_the_same_grey(mask: Image.Image, mode: str, encode: Encode) -> None:
    assert same(read(encode(mask.convert(mode))), mask)


def test_black_may_be_what_is_filled(mask: Image.Image, encode: Encode) -> None:
    assert same(read(encode(ImageOps.invert(mask)), mask_from="black"), mask)


def test_transparent_may_be_what_is_filled(photo: Image.Image, mask: Image.Image, encode: Encode) -> None:
    holed = photo.copy()
    holed.putalpha(ImageOps.invert(mask))
    assert same(read(encode(holed), mask_from="alpha"), mask)


@pytest.mark.parametrize("colour", [(0, 0, 0), (255, 255, 255), (250, 30, 200)])
def test_strokes_on_an_empty_layer_are_found(
    mask: Image.Image, colour: tuple[int, int, int], encode: Encode
) -> None:
    assert same(read(encode(strokes(mask, colour)), mask_from="auto"), mask)


def test_a_hole_in_a_picture_is_found(photo: Image.Image, mask: Image.Image, encode: Encode) -> None:
    holed = photo.copy()
    holed.putalpha(ImageOps.invert(mask))
    assert same(read(encode(holed), mask_from="auto"), mask)


def test_of_black_and_white_the_rarer_is_found(mask: Image.Image, encode: Encode) -> None:
    for image in (mask, ImageOps.invert(mask)):
        assert same(read(encode(image), mask_from="auto"), mask)


def test_traces_of_compression_are_cleaned_away(mask: Image.Image, encode: Encode) -> None:
    stained = mask.point([min(max(v + 9 - (v > 99) * 18, 0), 255) for v in range(256)])
    assert same(read(encode(stained)), mask)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_mask_is_turned_upright(mask: Image.Image, orientation: int, encode: Encode) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    size = SIZE if orientation < 5 else SIZE[::-1]
    upright = ImageOps.exif_transpose(Image.open(io.BytesIO(encode(mask, exif=exif))))
    assert same(read(encode(mask, exif=exif), size), upright)


def test_a_mask_of_the_same_shape_is_scaled(mask: Image.Image, encode: Encode) -> None:
    twice = mask.resize((192, 128), Image.Resampling.NEAREST)
    assert same(read(encode(twice)), mask)


def test_a_mask_of_another_shape_is_refused_or_stretched(mask: Image.Image, encode: Encode) -> None:
    square = encode(mask.resize((64, 64), Image.Resampling.NEAREST))
    with pytest.raises(BadPicture, match=r"m\.png is 64x64 but its picture is 96x64: .*mask_fit: resize"):
        read(square)
    assert read(square, mask_fit="resize").size == SIZE


def test_a_mask_grows_by_pixels_of_the_picture(mask: Image.Image, encode: Encode) -> None:
    twice = mask.resize((192, 128), Image.Resampling.NEAREST)
    box = mask.getbbox()
    assert box is not None
    assert read(encode(twice), mask_grow=5).getbbox() == (box[0] - 5, box[1] - 5, box[2] + 5, box[3] + 5)


@pytest.mark.parametrize(
    ("grey", "source", "what"),
    [
        (3, "white", "black all over: nothing would be filled; draw what is to be filled white"),
        (255, "white", "white all over: everything would be filled; draw what is to be kept black"),
        (255, "black", "white all over: nothing would be filled; draw what is to be filled black"),
        (0, "black", "black all over: everything would be filled; draw what is to be kept white"),
        (0, "auto", "of one grey all over: nothing would be filled; draw what is to be filled another grey"),
    ],
)
def test_a_mask_of_one_grey_is_refused(grey: int, source: str, what: str, encode: Encode) -> None:
    with pytest.raises(BadPicture, match=f"^m.png is {what}$"):
        read(encode(Image.new("L", SIZE, grey)), mask_from=source)


@pytest.mark.parametrize("colour", [(0, 0, 0), (255, 255, 255)])
def test_a_shape_that_only_transparency_holds_is_explained(
    mask: Image.Image, colour: tuple[int, int, int], encode: Encode
) -> None:
    layer = Image.new("RGB", SIZE, colour)
    layer.putalpha(mask)
    with pytest.raises(BadPicture, match=r"holds its shape in its transparency.*mask_from: alpha"):
        read(encode(layer))


def test_alpha_is_refused_where_there_is_none(mask: Image.Image, encode: Encode) -> None:
    with pytest.raises(BadPicture, match=r"m\.png has no transparency"):
        read(encode(mask), mask_from="alpha")


@given(
    st.tuples(st.integers(1, 90), st.integers(1, 70)),
    st.tuples(st.integers(1, 90), st.integers(1, 70)),
    st.tuples(st.integers(0, 89), st.integers(0, 69), st.integers(1, 60), st.integers(1, 60)),
    st.integers(1, 255),
)
def test_a_mask_is_scaled_to_the_bit_as_all_of_its_rows_would_be(
    own: tuple[int, int], size: tuple[int, int], box: tuple[int, int, int, int], grey: int
) -> None:
    mask = Image.new("L", own)
    mask.paste(grey, (box[0], box[1], box[0] + box[2], box[1] + box[3]))
    shrinks = size[0] <= own[0] and size[1] <= own[1]
    whole = mask.resize(size, Image.Resampling.BOX if shrinks else Image.Resampling.BILINEAR)
    assert np.array_equal(np.asarray(scale_mask(mask, size)), np.asarray(whole))
