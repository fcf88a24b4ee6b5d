from __future__ import annotations

import io
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from batchfill.errors import BadPicture
from batchfill.images.paint import PaintTask, paint

if TYPE_CHECKING:
    from collections.abc import Callable

    Encode = Callable[..., bytes]


@pytest.fixture
def task(photo: Image.Image, mask: Image.Image, encode: Encode) -> PaintTask:
    return PaintTask(encode(photo), encode(mask), size=(96, 64), seeds=(1,), format="png", quality=80)


def test_each_seed_gives_a_picture_of_its_own(task: PaintTask) -> None:
    one, two = paint(replace(task, seeds=(1, 2)))
    assert one != two


@pytest.mark.parametrize(("word", "kind"), [("webp", "WEBP"), ("jpg", "JPEG"), ("png", "PNG")])
def test_format_and_size_are_obeyed(task: PaintTask, word: str, kind: str) -> None:
    (content,) = paint(replace(task, format=word, size=(32, 64)))
    made = Image.open(io.BytesIO(content))
    assert (made.format, made.size) == (kind, (32, 64))


def test_quality_is_obeyed(task: PaintTask) -> None:
    for word in ("webp", "jpg"):
        (low,) = paint(replace(task, format=word, quality=0))
        (high,) = paint(replace(task, format=word, quality=100))
        assert len(low) < len(high)


def test_exif_rotation_is_ignored(
    task: PaintTask, photo: Image.Image, mask: Image.Image, turned: Image.Exif, encode: Encode
) -> None:
    (made,) = paint(replace(task, picture=encode(photo, "PNG", exif=turned)))
    kept = np.asarray(mask) == 0
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(made)))[kept], np.asarray(photo)[kept])


def test_a_mask_of_another_shape_is_stretched_without_a_word(
    task: PaintTask, mask: Image.Image, encode: Encode
) -> None:
    (made,) = paint(replace(task, mask=encode(mask.resize((10, 50)))))
    assert Image.open(io.BytesIO(made)).size == (96, 64)


def test_bytes_that_are_no_picture_are_refused_by_their_input(task: PaintTask) -> None:
    with pytest.raises(BadPicture, match="mask is a web page"):
        paint(replace(task, mask=b"<html>not found</html>"))
