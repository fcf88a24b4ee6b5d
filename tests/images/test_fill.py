from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from batchfill.images.fill import fill

if TYPE_CHECKING:
    from PIL import Image


def test_black_keeps_every_byte(photo: Image.Image, mask: Image.Image) -> None:
    picture, hole = np.asarray(photo), np.asarray(mask)
    assert np.array_equal(fill(picture, hole, 7)[hole == 0], picture[hole == 0])


def test_white_is_filled_from_its_surroundings(mask: Image.Image) -> None:
    hole = np.asarray(mask)
    picture = np.full((*hole.shape, 3), (30, 120, 200), np.uint8)
    picture[hole == 255] = (255, 0, 255)
    filled = fill(picture, hole, 7)[hole == 255]
    assert np.abs(filled.mean(axis=0) - (30, 120, 200)).max() < 8
    assert np.abs(filled.astype(int) - (30, 120, 200)).max() < 40


def test_the_same_seed_gives_the_same_pixels_and_another_seed_others(
    photo: Image.Image, mask: Image.Image
) -> None:
    picture, hole = np.asarray(photo), np.asarray(mask)
    assert np.array_equal(fill(picture, hole, 7), fill(picture, hole, 7))
    assert not np.array_equal(fill(picture, hole, 7), fill(picture, hole, 8))


def test_grey_is_blended() -> None:
    picture = np.zeros((32, 64, 3), np.uint8)
    picture[:, :32] = 200
    hole = np.zeros((32, 64), np.uint8)
    hole[:, 32:48] = 255
    hole[16:, 32:48] = 128
    filled = fill(picture, hole, 1).astype(int)
    assert filled[:16, 32:40].mean() > filled[16:, 32:40].mean() > 5


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (7, 1), (5, 3), (33, 65)])
@pytest.mark.parametrize("grey", [0, 128, 255])
def test_any_size_and_any_mask_can_be_filled(shape: tuple[int, int], grey: int) -> None:
    picture = np.full((*shape, 3), 100, np.uint8)
    filled = fill(picture, np.full(shape, grey, np.uint8), 1)
    assert filled.shape == picture.shape
    assert np.abs(filled.astype(int) - 110).max() < 60


def test_the_picture_handed_in_is_not_changed(photo: Image.Image, mask: Image.Image) -> None:
    picture = np.array(photo)
    before = picture.copy()
    fill(picture, np.asarray(mask), 1)
    assert np.array_equal(picture, before)
