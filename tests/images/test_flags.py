from __future__ import annotations

import pickle
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from batchfill.catalog import Pixels, SizeRule
from batchfill.errors import BadPicture
from batchfill.images.flags import FlagTask, flag
from tests.images.calibration import calibrate

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Save = Callable[..., Path]

HOLE = (80, 60, 160, 120)
OTHER_WAY = Pixels(mask_from="black")


@pytest.fixture
def large(photo: Image.Image) -> Image.Image:
    """A photograph of 240 x 180 with detail everywhere."""
    smooth = photo.resize((240, 180), Image.Resampling.BICUBIC)
    noise = np.random.default_rng(4).integers(-18, 18, (180, 240, 3))
    return Image.fromarray((np.asarray(smooth).astype(int) + noise).clip(0, 255).astype(np.uint8))


@pytest.fixture
def judged(large: Image.Image, save: Save) -> Callable[..., tuple[tuple[str, ...], ...]]:
    """Judge outputs of the photograph, of which HOLE was to be filled."""
    mask = Image.new("L", large.size)
    mask.paste(255, HOLE)

    def judge(*outputs: Image.Image, **changes: object) -> tuple[tuple[str, ...], ...]:
        paths = tuple(save(image, f"output-{n}.png") for n, image in enumerate(outputs))
        usual = {
            "picture": save(large, "photo.png"),
            "mask": save(mask, "mask.png"),
            "pixels": Pixels(),
            "area": None,
            "rule": None,
            "inputs": (),
        }
        return flag(FlagTask(paths, **(usual | changes)))  # type: ignore[arg-type]

    return judge


def good(large: Image.Image, waves: int = 4) -> Image.Image:
    """The photograph, with waves that begin softly where it was to be filled."""
    part = np.asarray(large.crop(HOLE)).astype(float)
    down, across = (np.linspace(0, np.pi, length) for length in part.shape[:2])
    soft = np.sin(down)[:, None] * np.sin(across)[None, :]
    output = large.copy()
    waved = part + 70 * (soft * np.sin(waves * across)[None, :])[..., None]
    output.paste(Image.fromarray(waved.clip(0, 255).astype(np.uint8)), HOLE[:2])
    return output


def test_a_good_output_has_no_flags(large: Image.Image, judged: Callable[..., object]) -> None:
    assert judged(good(large)) == ((),)


def test_a_blank_output_is_flagged(large: Image.Image, judged: Callable[..., tuple[tuple[str, ...]]]) -> None:
    assert judged(Image.new("RGB", large.size))[0][0] == "blank"
    assert judged(Image.new("RGB", large.size, "white"), picture=None) == (("blank",),)


def test_what_was_sent_is_unchanged(large: Image.Image, judged: Callable[..., object]) -> None:
    assert judged(large) == (("unchanged",),)


def test_another_brightness_outside_is_drift(large: Image.Image, judged: Callable[..., object]) -> None:
    assert judged(good(large).point([min(v + 6, 255) for v in range(256)] * 3)) == (("drift",),)


def test_an_output_that_has_moved_is_drift(large: Image.Image, judged: Callable[..., object]) -> None:
    whole = good(large)
    moved = whole.transform(whole.size, Image.Transform.AFFINE, (1, 0, 3, 0, 1, 3))
    assert judged(moved) == (("drift",),)


def test_a_patch_of_other_colours_has_a_seam(large: Image.Image, judged: Callable[..., object]) -> None:
    output = good(large)
    output.paste(output.crop(HOLE).point([min(v + 60, 255) for v in range(256)] * 3), HOLE[:2])
    assert judged(output) == (("seam",),)


def test_the_same_output_twice_is_a_duplicate(large: Image.Image, judged: Callable[..., object]) -> None:
    other = good(large, waves=7)
    assert judged(good(large), other, good(large)) == ((), (), ("duplicate",))
    assert judged(good(large), other, good(large), mask=None) == ((), (), ("duplicate",))


def test_an_output_of_an_unexpected_size_is_flagged(
    large: Image.Image, judged: Callable[..., object]
) -> None:
    rule = SizeRule(field="fit", default="it", megapixel=1, fits={"it": 240}, multiple=1)
    assert judged(good(large), rule=rule) == ((),)
    assert judged(good(large).resize((200, 150)), rule=rule) == (("size",),)


def test_only_the_area_that_was_sent_is_compared(large: Image.Image, judged: Callable[..., object]) -> None:
    area = (40, 30, 200, 150)
    assert judged(good(large).crop(area), area=area) == ((),)
    assert judged(good(large).crop((46, 30, 206, 150)), area=area) == (("drift",),)


def test_the_mask_is_read_as_the_row_says(
    large: Image.Image, judged: Callable[..., object], save: Save
) -> None:
    mask = Image.new("L", large.size, 255)
    mask.paste(0, HOLE)
    assert judged(good(large), mask=save(mask, "inverted.png"), pixels=OTHER_WAY) == ((),)


def test_a_file_that_is_no_picture_is_refused(judged: Callable[..., object], tmp_path: Path) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"nothing")
    task = FlagTask((broken,), None, None, Pixels(), None, None, ())
    with pytest.raises(BadPicture, match=r"broken\.png"):
        flag(pickle.loads(pickle.dumps(task)))


def test_flags_are_right_on_real_photographs(tmp_path: Path) -> None:
    spoilt, caught, alarms = calibrate(tmp_path, share=6)
    assert spoilt.total() > 50
    assert caught.total() >= 0.95 * spoilt.total(), (spoilt, caught)
    assert alarms["flagged"] == 0, alarms
