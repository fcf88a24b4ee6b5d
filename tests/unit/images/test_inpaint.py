from __future__ import annotations

import io
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from batchfill.errors import BadPicture
from batchfill.images.inpaint import PaintTask, fill_masked, inpaint_files

if TYPE_CHECKING:
    from collections.abc import Callable

    Encode = Callable[..., bytes]


def test_black_keeps_every_byte(photo: Image.Image, mask: Image.Image) -> None:
    picture, hole = np.asarray(photo), np.asarray(mask)
    assert np.array_equal(fill_masked(picture, hole, 7)[hole == 0], picture[hole == 0])


def test_white_is_filled_from_its_surroundings(mask: Image.Image) -> None:
    hole = np.asarray(mask)
    picture = np.full((*hole.shape, 3), (30, 120, 200), np.uint8)
    picture[hole == 255] = (255, 0, 255)
    filled = fill_masked(picture, hole, 7)[hole == 255]
    assert np.abs(filled.mean(axis=0) - (30, 120, 200)).max() < 8
    assert np.abs(filled.astype(int) - (30, 120, 200)).max() < 40


def test_the_same_seed_gives_the_same_pixels_and_another_seed_others(
    photo: Image.Image, mask: Image.Image
) -> None:
    picture, hole = np.asarray(photo), np.asarray(mask)
    assert np.array_equal(fill_masked(picture, hole, 7), fill_masked(picture, hole, 7))
    assert not np.array_equal(fill_masked(picture, hole, 7), fill_masked(picture, hole, 8))


def test_grey_is_blended() -> None:
    picture = np.zeros((32, 64, 3), np.uint8)
    picture[:, :32] = 200
    hole = np.zeros((32, 64), np.uint8)
    hole[:, 32:48] = 255
    hole[16:, 32:48] = 128
    filled = fill_masked(picture, hole, 1).astype(int)
    assert filled[:16, 32:40].mean() > filled[16:, 32:40].mean() > 5


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (7, 1), (5, 3), (33, 65)])
@pytest.mark.parametrize("grey", [0, 128, 255])
def test_any_size_and_any_mask_can_be_filled(shape: tuple[int, int], grey: int) -> None:
    picture = np.full((*shape, 3), 100, np.uint8)
    filled = fill_masked(picture, np.full(shape, grey, np.uint8), 1)
    assert filled.shape == picture.shape
    assert np.abs(filled.astype(int) - 110).max() < 60


def test_the_picture_handed_in_is_not_changed(photo: Image.Image, mask: Image.Image) -> None:
    picture = np.array(photo)
    before = picture.copy()
    fill_masked(picture, np.asarray(mask), 1)
    assert np.array_equal(picture, before)


@pytest.fixture
def task(photo: Image.Image, mask: Image.Image, encode: Encode) -> PaintTask:
    return PaintTask(encode(photo), encode(mask), size=(96, 64), seeds=(1,), format="png", quality=80)


def test_each_seed_gives_a_picture_of_its_own(task: PaintTask) -> None:
    one, two = inpaint_files(replace(task, seeds=(1, 2)))
    assert one != two


@pytest.mark.parametrize(("word", "kind"), [("webp", "WEBP"), ("jpg", "JPEG"), ("png", "PNG")])
def test_format_and_size_are_obeyed(task: PaintTask, word: str, kind: str) -> None:
    (content,) = inpaint_files(replace(task, format=word, size=(32, 64)))
    made = Image.open(io.BytesIO(content))
    assert (made.format, made.size) == (kind, (32, 64))


def test_quality_is_obeyed(task: PaintTask) -> None:
    for word in ("webp", "jpg"):
        (low,) = inpaint_files(replace(task, format=word, quality=0))
        (high,) = inpaint_files(replace(task, format=word, quality=100))
        assert len(low) < len(high)


def test_exif_rotation_is_ignored(
    task: PaintTask, photo: Image.Image, mask: Image.Image, turned: Image.Exif, encode: Encode
) -> None:
    (made,) = inpaint_files(replace(task, picture=encode(photo, "PNG", exif=turned)))
    kept = np.asarray(mask) == 0
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(made)))[kept], np.asarray(photo)[kept])


def test_a_mask_of_another_shape_is_stretched_without_a_word(
    task: PaintTask, mask: Image.Image, encode: Encode
) -> None:
    (made,) = inpaint_files(replace(task, mask=encode(mask.resize((10, 50)))))
    assert Image.open(io.BytesIO(made)).size == (96, 64)


def test_bytes_that_are_no_picture_are_refused_by_their_input(task: PaintTask) -> None:
    with pytest.raises(BadPicture, match="mask is a web page"):
        inpaint_files(replace(task, mask=b"<html>not found</html>"))
