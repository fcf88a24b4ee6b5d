from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageOps

from batchfill.images import JudgeTask, judge

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Save = Callable[..., Path]


def test_a_good_pair_has_nothing_to_say(photo: Image.Image, mask: Image.Image, save: Save) -> None:
    assert judge(JudgeTask(save(photo, "a.jpg"), save(mask, "m.png"))) == ((), ())


def test_masks_of_every_mode_are_good(photo: Image.Image, mask: Image.Image, save: Save) -> None:
    picture = save(photo, "a.png")
    for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16"):
        deep = Image.fromarray(np.asarray(mask).astype(np.uint16) * 257)
        path = save(deep if mode == "I;16" else mask.convert(mode), f"{mode[0]}.png")
        assert judge(JudgeTask(picture, path)) == ((), ()), mode


def test_a_mask_without_white_fills_nothing(save: Save) -> None:
    found = judge(JudgeTask(None, save(Image.new("L", (9, 9), 3), "m.png")))
    assert found.errors == ("m.png is black all over: nothing would be filled",)


def test_a_mask_without_black_fills_everything(save: Save) -> None:
    found = judge(JudgeTask(None, save(Image.new("L", (9, 9), 255), "m.png")))
    assert found.errors == ("m.png is white all over: everything would be filled",)


def test_more_white_than_black_is_suspicious(mask: Image.Image, save: Save) -> None:
    found = judge(JudgeTask(None, save(ImageOps.invert(mask), "m.png")))
    assert found.errors == ()
    assert found.warnings == ("m.png is 88% white, and white is what gets filled: is it inverted?",)


def test_a_photograph_in_place_of_a_mask_is_suspicious(photo: Image.Image, save: Save) -> None:
    assert "is it a mask?" in judge(JudgeTask(None, save(photo, "m.png"))).warnings[-1]


def test_a_shape_held_by_transparency_alone_is_explained(mask: Image.Image, save: Save) -> None:
    for colour in (0, 255):
        image = Image.new("LA", mask.size, colour)
        image.putalpha(mask)
        for mode in ("LA", "RGBA"):
            (error,) = judge(JudgeTask(None, save(image.convert(mode), "m.png"))).errors
            assert "holds its shape in its transparency, which the service ignores" in error


def test_a_mask_of_another_shape_is_an_error(photo: Image.Image, save: Save) -> None:
    mask = Image.new("L", (64, 64), 0)
    mask.paste(255, (10, 10, 20, 20))
    found = judge(JudgeTask(save(photo, "a.png"), save(mask, "m.png")))
    assert found.errors == ("m.png is 64x64 but its picture is 96x64: both must be the same size",)


def test_a_scaled_mask_is_a_warning(photo: Image.Image, mask: Image.Image, save: Save) -> None:
    found = judge(JudgeTask(save(photo, "a.png"), save(mask.resize((48, 32)), "m.png")))
    assert found.errors == ()
    assert found.warnings == ("m.png is 48x32, its picture 96x64: send: fitted scales the mask",)


def test_sizes_are_compared_after_rotation(
    photo: Image.Image, mask: Image.Image, turned: Image.Exif, save: Save
) -> None:
    picture = save(photo, "a.jpg", exif=turned)
    upright = save(mask.transpose(Image.Transpose.ROTATE_270), "upright.png")
    assert judge(JudgeTask(picture, upright)) == ((), ())
    (error,) = judge(JudgeTask(picture, save(mask, "m.png"))).errors
    assert error.endswith("once turned as its EXIF orientation says: turn the mask too")


def test_both_files_are_reported_at_once(tmp_path: Path) -> None:
    picture, mask = tmp_path / "a.png", tmp_path / "m.png"
    picture.write_text("no picture")
    mask.write_bytes(b"")
    found = judge(JudgeTask(picture, mask))
    assert found.errors == ("a.png is text, not a picture", "m.png is empty")


def test_pixels_that_cannot_be_decoded_are_an_error(
    photo: Image.Image, mask: Image.Image, save: Save
) -> None:
    picture = save(photo, "a.png")
    picture.write_bytes(picture.read_bytes()[:-200])
    (error,) = judge(JudgeTask(picture, save(mask, "m.png"))).errors
    assert error.startswith("a.png is damaged or cut short")
