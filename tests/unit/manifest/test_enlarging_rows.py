"""Rows that enlarge their pictures: they need no mask, and a local picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from batchfill.catalog.model import Model
    from batchfill.domain.rows import Row

    Rows = Callable[..., list[Row]]
    Mistakes = Callable[..., list[str]]

HEADER = "image,prompt,expand,aspect"


def test_a_row_that_enlarges_its_picture_needs_no_mask(rows: Rows, dev: Model) -> None:
    first, second, third = rows(
        f"{HEADER},mask\nimages/hero.png,x,20%,\nimages/hero.png,x,,16:9,\n"
        "images/hero.png,x,left=8,,images/mask.png\n".replace("x,20%,\n", "x,20%,,\n")
    )
    assert "mask" not in first.inputs
    mask = dev.mask_of(first.inputs, first.files)
    assert mask is not None
    assert mask.is_nothing  # type: ignore[union-attr]
    assert dev.pixels(second.inputs).aspect == "16:9"
    assert third.local_files["mask"].path.name == "mask.png"


def test_the_column_of_masks_may_be_missing_but_not_for_a_row_that_enlarges_nothing(
    rows: Rows, mistakes: Mistakes
) -> None:
    assert len(rows(f"{HEADER}\nimages/hero.png,x,20%,\n")) == 1
    (told,) = mistakes(f"{HEADER}\nimages/hero.png,x,20%,\nimages/hero.png,x,,\n")
    assert told.startswith("night.csv:3: mask is empty")
    (told,) = mistakes("image,prompt\nimages/hero.png,x\n")
    assert "missing column mask" in told


@pytest.mark.parametrize("name", ["expand", "aspect"])
def test_a_default_enlarges_every_row(rows: Rows, name: str) -> None:
    text = "16:9" if name == "aspect" else "20%"
    content = f"{name}: {text}\nrows:\n  - {{image: images/hero.png, prompt: x}}\n"
    assert [row.inputs[name] for row in rows(content, "night.yaml")] == [text]
    csv = "image,prompt\nimages/hero.png,x\n"
    assert [row.inputs[name] for row in rows(csv, defaults={name: text})] == [text]


@pytest.mark.parametrize(
    ("row", "told"),
    [
        (
            "https://example.org/a.png,x,20%,,",
            "expand and aspect enlarge a local picture, and image is at an address",
        ),
        (
            "images/hero.png,x,20%,,mask",
            "area: mask sends a part of the picture, which expand and aspect enlarge",
        ),
        ("images/hero.png,x,twice,,", "expand is written 20%, 256 (pixels), or left=256 right=25%"),
        ("images/hero.png,x,,wide,", "aspect must be width:height such as 16:9, not 'wide'"),
    ],
)
def test_what_cannot_be_enlarged_is_a_mistake(mistakes: Mistakes, row: str, told: str) -> None:
    (found,) = mistakes(f"{HEADER},area\n{row}\n")
    assert told in found


def test_a_picture_that_is_sent_as_it_is_is_not_enlarged(mistakes: Mistakes) -> None:
    (found,) = mistakes(f"{HEADER}\nimages/hero.png,x,20%,\n", fitted=False)
    assert "send: original sends files as they are" in found


def test_equal_enlargements_are_one_row_and_the_fingerprint_is_pinned(rows: Rows) -> None:
    texts = ["20%", " 20 %", "left=20% top=20% right=20% bottom=20%", "21%"]
    found = [
        row.fingerprint for row in rows(HEADER + "\n" + "".join(f"images/hero.png,x,{t},\n" for t in texts))
    ]
    assert found[0] == found[1] == found[2] != found[3]
    (shaped,) = rows(f"{HEADER},anchor\nimages/hero.png,x,,16:9,left\n")
    assert [found[0], shaped.fingerprint] == [
        "db01f58870ec1f9225b5c75a5fc18a846ef21316b88c90c1c7f6238c549596a1",
        "5fc061dfaf5dd5a5f2fe6a8327875b9ec885b7d66d53a6f85ca00b0fb62cca7d",
    ]
