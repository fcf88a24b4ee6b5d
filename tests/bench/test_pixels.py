"""The figures of the table of pixels, and the photograph that they are of."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageFilter

from tests.bench.photograph import PHOTOGRAPHS, ellipse, mosaic
from tests.bench.pixels import detail, psnr


def test_the_large_photograph_has_the_pixels_of_the_small_ones() -> None:
    large = np.asarray(mosaic(1300, 700))
    with Image.open(PHOTOGRAPHS / "coffee.jpg") as image:
        small = np.asarray(image)[:300]
    assert large.shape == (700, 1300, 3)
    assert np.array_equal(large[:300, 512:1112], small)


def test_the_mask_takes_its_share_in_the_middle() -> None:
    mask = np.asarray(ellipse(400, 200, 0.5)) > 0
    assert mask.mean() == pytest.approx(np.pi / 16, rel=0.03)
    assert np.argwhere(mask).mean(axis=0) == pytest.approx([100, 200], abs=1)


def test_equal_pictures_are_infinitely_alike_and_a_grey_level_is_48_decibels() -> None:
    one, where = Image.new("L", (8, 8), 100), np.ones((8, 8), np.bool_)
    assert psnr(one, one, where) == float("inf")
    assert psnr(one, Image.new("L", (8, 8), 101), where) == pytest.approx(48.13, abs=0.01)


def test_a_blur_takes_the_detail_out_of_a_photograph() -> None:
    picture, where = mosaic(200, 200), np.ones((200, 200), np.bool_)
    assert detail(picture.filter(ImageFilter.BoxBlur(2)), where) < 0.25 * detail(picture, where)
