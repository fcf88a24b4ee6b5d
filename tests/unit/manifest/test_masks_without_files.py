"""Rows whose mask is drawn, not read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from batchfill.domain.drawn_masks import DrawnMask
from batchfill.domain.rows import LocalFile

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from batchfill.catalog.model import Model
    from batchfill.domain.rows import Row

    Rows = Callable[..., list[Row]]
    Mistakes = Callable[..., list[str]]

HEADER = "image,mask,prompt"


def test_a_box_is_a_mask_without_a_file(rows: Rows, dev: Model) -> None:
    (row,) = rows(f'{HEADER}\nimages/hero.png,"box: 1, 2,30.0,40",x\n')
    assert row.inputs["mask"] == "box:1,2,30,40"
    assert set(row.files) == {"image"}
    mask = dev.mask_of(row.inputs, row.files)
    assert isinstance(mask, DrawnMask)
    assert mask.text == "box:1,2,30,40"


def test_alpha_takes_the_picture_itself_whatever_mask_from_says(rows: Rows, dev: Model) -> None:
    (row,) = rows(f"{HEADER},mask_from\nimages/hero.png,alpha,x,white\n")
    mask = dev.mask_of(row.inputs, row.files)
    assert isinstance(mask, LocalFile)
    assert mask.path.name == "hero.png"
    assert dev.pixels(row.inputs).mask_from == "alpha"


def test_a_file_that_is_called_alpha_is_named_with_its_folder(rows: Rows, folder: Path, dev: Model) -> None:
    (folder / "alpha").write_bytes(b"mask")
    (row,) = rows(f"{HEADER}\nimages/hero.png,./alpha,x\n")
    assert row.local_files["mask"].path.name == "alpha"
    assert dev.pixels(row.inputs).mask_from == "white"


def test_one_mask_may_be_drawn_for_all_rows_and_a_cell_wins(rows: Rows) -> None:
    found = rows(
        "defaults: {mask: 'polygon:1,2 30,4 5,60'}\nrows:\n"
        "  - {image: images/hero.png, prompt: p}\n"
        "  - {image: images/hero.png, prompt: q, mask: images/mask.png}\n",
        "night.yaml",
    )
    assert [row.inputs["mask"] for row in found] == ["polygon:1,2 30,4 5,60", "images/mask.png"]
    assert [set(row.files) for row in found] == [{"image"}, {"image", "mask"}]


def test_equal_shapes_are_one_row_and_other_ones_another(rows: Rows) -> None:
    masks = ["box:1,2,3,4", "Box:1.0,2, 3,4", "box:1,2,3,5", "box:1,2,3,4;box:9,9,9,9"]
    found = rows(HEADER + "\n" + "".join(f'images/hero.png,"{mask}",x\n' for mask in masks))
    first, same, other, both = (row.fingerprint for row in found)
    assert first == same
    assert len({first, other, both}) == 3


def test_drawing_a_mask_is_no_setting_of_pixels_where_files_are_sent_as_they_are(rows: Rows) -> None:
    text = (
        f'{HEADER},finish,mask_from\nimages/hero.png,alpha,x,exact,\nimages/hero.png,"box:1,2,3,4",x,,black\n'
    )
    assert len(rows(text, fitted=False)) == 2


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('images/hero.png,"box:1,2,3",x', "mask: a box is written box:LEFT,TOP,WIDTH,HEIGHT in pixels"),
        ('https://x/a.png,"box:1,2,3,4",x', "mask: box:1,2,3,4 is drawn on a local picture, and image is at"),
        ("https://x/a.png,alpha,x", "mask: alpha is drawn on a local picture, and image is at an address"),
        ('"box:1,2,3,4",images/mask.png,x', "image: "),
    ],
)
def test_what_cannot_be_drawn_is_a_mistake(line: str, message: str, mistakes: Mistakes) -> None:
    (mistake,) = mistakes(f"{HEADER}\n{line}\n")
    assert mistake.startswith(f"night.csv:2: {message}")


def test_a_wrong_shape_for_all_rows_is_told_once(mistakes: Mistakes) -> None:
    (mistake,) = mistakes(
        "defaults: {mask: 'box:1,2'}\nrows:\n  - {image: images/hero.png, prompt: p}\n"
        "  - {image: images/hero.png, prompt: q}\n",
        "night.yaml",
    )
    assert "defaults: mask: a box is written" in mistake


def test_the_fingerprint_of_a_drawn_mask_is_pinned(rows: Rows) -> None:
    found = rows(f'{HEADER}\nimages/hero.png,"box:1,2,30,40",x\nimages/hero.png,alpha,x\n')
    assert [row.fingerprint for row in found] == [
        "7adb53e94e028e222b74019e6ece05e67edf105a9bc9f5a1cc0e83f0480f9fed",
        "29a12b2c7ff6f4956bee77369e92119bc0387bfceb71b3de5249a8e57c1b152a",
    ]
