from __future__ import annotations

import pickle
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image
from PIL.ExifTags import Base as Tag

from batchfill.catalog.pixel_options import Pixels
from batchfill.catalog.sizes import SizeRule
from batchfill.domain.drawn_masks import read_drawn_mask
from batchfill.domain.findings import FLAGS
from batchfill.errors import BadPicture
from batchfill.images.quality.flags import FlagTask, flag_outputs
from tests.bench.calibration import MASKS, calibrate, scenes

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Save = Callable[..., Path]
    Judged = Callable[..., tuple[tuple[str, ...], ...]]

HOLE = (80, 60, 160, 120)
OTHER_WAY = Pixels(mask_from="black")


@pytest.fixture
def large(photo: Image.Image) -> Image.Image:
    """A photograph of 240 x 180 with detail everywhere."""
    smooth = photo.resize((240, 180), Image.Resampling.BICUBIC)
    noise = np.random.default_rng(4).integers(-18, 18, (180, 240, 3))
    return Image.fromarray((np.asarray(smooth).astype(int) + noise).clip(0, 255).astype(np.uint8))


@pytest.fixture
def judged(large: Image.Image, save: Save) -> Judged:
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
        return flag_outputs(FlagTask(paths, **(usual | changes)))  # type: ignore[arg-type]

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


def test_a_good_output_has_no_flags(large: Image.Image, judged: Judged) -> None:
    assert judged(good(large)) == ((),)


def test_a_blank_output_is_flagged(large: Image.Image, judged: Judged) -> None:
    assert judged(Image.new("RGB", large.size))[0][0] == "blank"
    assert judged(Image.new("RGB", large.size, "white"), picture=None) == (("blank",),)


def test_what_was_sent_is_unchanged(large: Image.Image, judged: Judged) -> None:
    assert judged(large) == (("unchanged",),)


def test_another_brightness_outside_is_drift(large: Image.Image, judged: Judged) -> None:
    assert judged(good(large).point([min(v + 6, 255) for v in range(256)] * 3)) == (("drift",),)


def test_an_output_that_has_moved_is_drift(large: Image.Image, judged: Judged) -> None:
    whole = good(large)
    moved = whole.transform(whole.size, Image.Transform.AFFINE, (1, 0, 3, 0, 1, 3))
    assert judged(moved) == (("drift",),)


def test_a_patch_of_other_colours_has_a_seam(large: Image.Image, judged: Judged) -> None:
    output = good(large)
    output.paste(output.crop(HOLE).point([min(v + 60, 255) for v in range(256)] * 3), HOLE[:2])
    assert judged(output) == (("seam",),)


def test_the_same_output_twice_is_a_duplicate(large: Image.Image, judged: Judged) -> None:
    other = good(large, waves=7)
    assert judged(good(large), other, good(large)) == ((), (), ("duplicate",))
    assert judged(good(large), other, good(large), mask=None) == ((), (), ("duplicate",))


def test_an_output_of_an_unexpected_size_is_flagged(large: Image.Image, judged: Judged) -> None:
    rule = SizeRule(field="fit", default="it", megapixel=1, fits={"it": 240}, multiple=1)
    assert judged(good(large), rule=rule) == ((),)
    assert judged(good(large).resize((200, 150)), rule=rule) == (("size",),)


def test_only_the_area_that_was_sent_is_compared(large: Image.Image, judged: Judged) -> None:
    area = (40, 30, 200, 150)
    assert judged(good(large).crop(area), area=area) == ((),)
    assert judged(good(large).crop((46, 30, 206, 150)), area=area) == (("drift",),)


def test_the_mask_is_read_as_the_row_says(large: Image.Image, judged: Judged, save: Save) -> None:
    mask = Image.new("L", large.size, 255)
    mask.paste(0, HOLE)
    assert judged(good(large), mask=save(mask, "inverted.png"), pixels=OTHER_WAY) == ((),)


def test_a_file_that_is_no_picture_is_refused(judged: Judged, tmp_path: Path) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"nothing")
    task = FlagTask((broken,), None, None, Pixels(), None, None, ())
    with pytest.raises(BadPicture, match=r"broken\.png"):
        flag_outputs(pickle.loads(pickle.dumps(task)))


def test_a_plain_wall_that_stays_one_is_not_blank(judged: Judged, save: Save) -> None:
    wall = Image.new("RGB", (240, 180), (201, 198, 190))
    assert judged(wall, picture=save(wall, "wall.png")) == (("unchanged",),)
    assert judged(Image.new("RGB", wall.size), picture=save(wall, "wall.png"))[0][:2] == ("blank", "drift")


def test_something_else_outside_is_drift(large: Image.Image, judged: Judged) -> None:
    output = good(large)
    output.paste(large.crop(HOLE).rotate(180), (5, 5))
    assert judged(output) == (("drift",),)


@pytest.mark.parametrize("power", [0.9, 1.1])
def test_another_gamma_is_drift(large: Image.Image, judged: Judged, power: float) -> None:
    table = [round(255 * (v / 255) ** power) for v in range(256)] * 3
    assert judged(good(large).point(table)) == (("drift",),)


def test_a_slightly_larger_picture_is_drift(large: Image.Image, judged: Judged) -> None:
    assert judged(good(large).resize(large.size, box=(3, 2, 237, 178))) == (("drift",),)


def test_an_edge_of_the_picture_along_the_mask_is_no_seam(
    large: Image.Image, judged: Judged, save: Save
) -> None:
    edged = large.copy()
    edged.paste(Image.new("RGB", (80, 60), "white"), HOLE[:2])
    output = edged.copy()
    waves = good(large).crop(HOLE).point([v // 4 + 190 for v in range(256)] * 3)
    output.paste(waves, HOLE[:2])
    assert judged(output, picture=save(edged, "edged.png")) == ((),)


def test_a_strong_edge_within_a_fill_is_no_seam(large: Image.Image, judged: Judged) -> None:
    output = good(large)
    output.paste((250, 250, 250), (100, 70, 140, 110))
    assert judged(output) == ((),)


def test_strokes_thinner_than_what_is_compared_are_judged(
    large: Image.Image, judged: Judged, save: Save
) -> None:
    mask = Image.new("L", large.size)
    mask.paste(255, (40, 90, 200, 94))
    output = large.copy()
    output.paste((240, 30, 30), (40, 90, 200, 94))
    assert judged(large, mask=save(mask, "thin.png")) == (("unchanged",),)
    assert "unchanged" not in judged(output, mask=save(mask, "thin.png"))[0]


def test_next_to_nothing_outside_is_not_judged(large: Image.Image, judged: Judged, save: Save) -> None:
    mask = Image.new("L", large.size, 255)
    mask.paste(0, (0, 0, 30, 30))
    other = large.transpose(Image.Transpose.ROTATE_180)
    assert judged(other, mask=save(mask, "most.png")) == ((),)


def test_a_large_jpeg_is_compared_at_the_size_of_the_output(
    large: Image.Image, judged: Judged, save: Save, tmp_path: Path
) -> None:
    exif = Image.Exif()
    exif[Tag.Orientation] = 6  # to be turned by a quarter to the right
    path = tmp_path / "large.jpg"
    stored = large.resize((960, 720), Image.Resampling.BICUBIC).transpose(Image.Transpose.ROTATE_90)
    stored.save(path, quality=95, exif=exif)
    assert judged(good(large), picture=path) == ((),)
    assert judged(large, picture=path) == (("unchanged",),)
    area = (160, 120, 800, 600)
    assert judged(good(large).crop((40, 30, 200, 150)), picture=path, area=area) == ((),)
    assert judged(good(large).crop((42, 30, 202, 150)), picture=path, area=area) == (("drift",),)


def test_the_size_is_judged_with_a_remote_mask(large: Image.Image, judged: Judged) -> None:
    rule = SizeRule(field="fit", default="it", megapixel=1, fits={"it": 240}, multiple=1)
    small = good(large).resize((200, 150))
    assert judged(small, rule=rule, mask=None) == (("size",),)
    assert judged(small, rule=rule, mask=None, area=(0, 0, 200, 150)) == ((),)
    assert judged(small, rule=rule, picture=None) == ((),)


def test_outputs_of_different_sizes_are_judged_each_at_its_own(large: Image.Image, judged: Judged) -> None:
    double = good(large).resize((480, 360), Image.Resampling.BICUBIC)
    assert judged(good(large), double) == ((), ())


@pytest.mark.parametrize("name", ["photo", "mask"])
def test_an_input_that_is_no_picture_is_refused(
    judged: Judged, large: Image.Image, tmp_path: Path, name: str
) -> None:
    broken = tmp_path / f"{name}-broken.png"
    broken.write_bytes(b"nothing")
    field = {"photo": "picture", "mask": "mask"}[name]
    with pytest.raises(BadPicture, match=f"{name}-broken.png"):
        judged(good(large), **{field: broken})


def test_flags_are_right_on_real_photographs(tmp_path: Path) -> None:
    counts = calibrate(tmp_path, scenes(MASKS[::16], ["match_input"]))
    assert counts.spoilt.keys() == set(FLAGS)
    assert counts.spoilt.total() >= 17
    assert counts.caught.total() >= 0.95 * counts.spoilt.total(), counts.missed
    assert counts.flagged <= 0.04 * counts.good.total(), counts.missed


def test_a_mask_of_which_nothing_is_left_tells_nothing(tmp_path: Path) -> None:
    Image.new("RGB", (2000, 20), "teal").save(tmp_path / "p.png")
    Image.new("RGB", (20, 20), "teal").save(tmp_path / "out.png")
    mask = read_drawn_mask("box:0,0,1,1")
    task = FlagTask((tmp_path / "out.png",), tmp_path / "p.png", mask, Pixels(), None, None, ())
    (flags,) = flag_outputs(task)
    assert "unchanged" not in flags
