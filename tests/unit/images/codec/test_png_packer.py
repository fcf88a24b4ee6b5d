"""PNG as it is packed here is the PNG that any decoder reads: the pixels, the depth, the chunks."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageCms

from batchfill.images.codec import png_packer
from batchfill.images.codec.png_packer import MODES, image_strips, profile_chunks, write_png

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

CHANNELS = {"L": 1, "P": 1, "LA": 2, "RGB": 3, "RGBA": 4, "I;16": 1}
PALETTE = (b"PLTE", bytes(range(256)) * 3)


def pixels_of(mode: str, width: int, height: int) -> NDArray[Any]:
    """Return noise, which no filter and no packing makes the same by chance."""
    kind, most = (np.uint16, 2**16) if mode == "I;16" else (np.uint8, 2**8)
    shape = (height, width, CHANNELS[mode])
    return np.random.default_rng(width * height).integers(0, most, shape).astype(kind)


def packed(
    pixels: NDArray[Any],
    mode: str,
    strips: Iterable[NDArray[Any]] | None = None,
    chunks: Sequence[tuple[bytes, bytes]] = (),
) -> Image.Image:
    """Return what Pillow reads of *pixels*, packed; given in one strip unless *strips* are given."""
    file = io.BytesIO()
    palette = [PALETTE] if mode == "P" else []
    height, width = pixels.shape[:2]
    write_png(file, (width, height), mode, [pixels] if strips is None else strips, chunks=[*chunks, *palette])
    image = Image.open(io.BytesIO(file.getvalue()))
    image.load()
    return image


def same(image: Image.Image, pixels: NDArray[Any]) -> bool:
    return np.array_equal(np.asarray(image).reshape(pixels.shape), pixels)


@pytest.mark.parametrize("packer", ["isal", "zlib"])
@pytest.mark.parametrize("size", [(1, 1), (1, 200), (300, 1), (5, 64), (5, 65), (7, 129)])
@pytest.mark.parametrize("mode", sorted(MODES))
def test_every_mode_and_size_is_read_as_it_was(
    mode: str, size: tuple[int, int], packer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if packer == "zlib":
        monkeypatch.setattr(png_packer, "find_spec", lambda _: None)
    pixels = pixels_of(mode, *size)
    image = packed(pixels, mode)
    assert (image.mode, image.size) == (mode, size)
    assert same(image, pixels)


@given(st.lists(st.integers(1, 140), min_size=1, max_size=5), st.sampled_from(sorted(MODES)))
def test_it_makes_no_difference_how_rows_come_in_strips(heights: list[int], mode: str) -> None:
    pixels = pixels_of(mode, 3, sum(heights))
    strips = np.split(pixels, np.cumsum(heights)[:-1])
    assert same(packed(pixels, mode, strips), pixels)


@pytest.mark.parametrize("order", ["<u2", ">u2"])
def test_16_bits_are_taken_in_either_order_of_bytes(order: str) -> None:
    pixels = pixels_of("I;16", 9, 5)
    assert same(packed(pixels.astype(order), "I;16"), pixels)


def test_rows_that_are_a_part_of_others_are_taken() -> None:
    pixels = pixels_of("RGB", 20, 20)[3:17, 4:9]
    assert same(packed(pixels, "RGB"), pixels)


@pytest.mark.parametrize("mode", sorted(MODES))
def test_an_image_of_pillow_is_given_in_strips(mode: str) -> None:
    image = packed(pixels_of(mode, 6, 150), mode)
    again = packed(np.asarray(image), mode, image_strips(image))
    assert again.tobytes() == image.tobytes()


def test_a_profile_and_other_chunks_are_there() -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    chunks = [*profile_chunks(profile), (b"tEXt", b"Title\0a boat")]
    image = packed(pixels_of("RGB", 4, 4), "RGB", chunks=chunks)
    assert image.info["icc_profile"] == profile
    assert image.info["Title"] == "a boat"
    assert profile_chunks(None) == []


@pytest.mark.parametrize(
    ("strips", "mode"),
    [
        ([np.zeros((4, 4), np.uint8)], "RGB"),
        ([np.zeros((4, 5), np.uint8)], "L"),
        ([np.zeros((3, 4), np.uint8)], "L"),
        ([np.zeros((5, 4), np.uint8)], "L"),
        ([np.zeros((4, 4), np.uint8)], "I;16"),
        ([np.zeros((4, 4), np.uint16)], "L"),
        ([np.zeros((4, 4), np.float32)], "L"),
        ([], "L"),
    ],
)
def test_strips_that_are_not_the_picture_are_refused(strips: list[NDArray[Any]], mode: str) -> None:
    with pytest.raises(ValueError, match="of"):
        write_png(io.BytesIO(), (4, 4), mode, strips)


def test_packing_is_the_same_each_time() -> None:
    first, second = io.BytesIO(), io.BytesIO()
    for file in (first, second):
        write_png(file, (50, 70), "RGB", [pixels_of("RGB", 50, 70)])
    assert first.getvalue() == second.getvalue()
