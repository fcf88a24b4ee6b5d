from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from batchfill.catalog.builtin import unchecked_model
from batchfill.catalog.pixel_options import Pixels

if TYPE_CHECKING:
    from collections.abc import Callable

    from batchfill.catalog.model import Model
    from batchfill.domain.rows import Row

LOCAL = "images/hero.png,images/mask.png,a boat"
HEADER = "image,mask,prompt"


def test_a_row_may_say_how_its_pixels_are_treated(rows: Callable[..., list[Row]], dev: Model) -> None:
    settings = "mask_from,mask_grow,mask_feather,mask_fit,area,padding,finish,metadata"
    (row,) = rows(f"{HEADER},{settings}\n{LOCAL},black,3,0,resize,mask,40%,exact,no\n")
    assert dev.pixels(row.inputs) == Pixels(
        mask_from="black",
        mask_grow=3,
        mask_feather=0,
        mask_fit="resize",
        area="mask",
        padding="40%",
        finish="exact",
        metadata=False,
    )
    assert dev.without_pixels(row.inputs) == {
        "image": "images/hero.png",
        "mask": "images/mask.png",
        "prompt": "a boat",
    }


def test_a_manifest_may_say_it_for_all_rows_and_a_cell_wins(
    rows: Callable[..., list[Row]], dev: Model
) -> None:
    one, other = rows(
        "mask_grow: 5\ndefaults: {finish: exact}\nrows:\n"
        "  - {image: images/hero.png, mask: images/mask.png, prompt: p}\n"
        "  - {image: images/hero.png, mask: images/mask.png, prompt: q, mask_grow: 0, finish: raw}\n",
        "night.yaml",
    )
    assert dev.pixels(one.inputs) == Pixels(mask_grow=5, finish="exact")
    assert dev.pixels(other.inputs) == Pixels()


@pytest.mark.parametrize(("cell", "padding"), [("25%", "25%"), ("025 %", "25%"), ("64", 64), ("64px", 64)])
def test_padding_is_a_share_or_pixels(
    rows: Callable[..., list[Row]], dev: Model, cell: str, padding: int | str
) -> None:
    (row,) = rows(f"{HEADER},padding\n{LOCAL},{cell}\n")
    assert dev.pixels(row.inputs).padding == padding


@pytest.mark.parametrize(
    ("setting", "cell", "message"),
    [
        (
            "mask_from",
            "wite",
            "mask_from must be white, black, alpha, auto or nonzero, not 'wite'; did you mean white?",
        ),
        ("mask_grow", "-1", "mask_grow must be between 0 and 1000, not -1"),
        (
            "padding",
            "0.5",
            "padding must be a share such as 25% or pixels such as 64, at most 1000, not '0.5'",
        ),
        ("area", "part", "area must be whole or mask, not 'part'"),
        ("metadata", "maybe", "metadata must be true or false, not 'maybe'"),
        ("mask_gro", "1", "unknown column mask_gro; did you mean mask_grow?"),
    ],
)
def test_what_cannot_be_is_a_mistake(
    mistakes: Callable[..., list[str]], setting: str, cell: str, message: str
) -> None:
    (mistake,) = mistakes(f"{HEADER},{setting}\n{LOCAL},{cell}\n")
    assert mistake.endswith(message)


@pytest.mark.parametrize("setting", ["mask_grow,3", "area,mask", "finish,exact", "mask_from,auto"])
def test_pictures_at_addresses_cannot_be_changed(mistakes: Callable[..., list[str]], setting: str) -> None:
    name, value = setting.split(",")
    (mistake,) = mistakes(f"{HEADER},{name}\nimages/hero.png,http://x/m.png,p,{value}\n")
    assert mistake == "night.csv:2: pixel settings need local files, and mask is at an address"


def test_settings_that_change_nothing_suit_every_row(rows: Callable[..., list[Row]]) -> None:
    assert rows(f"{HEADER},area,finish\nhttp://x/a.png,http://x/m.png,p,whole,raw\n")


def test_files_that_are_sent_as_they_are_cannot_be_changed(mistakes: Callable[..., list[str]]) -> None:
    (mistake,) = mistakes(f"{HEADER},mask_grow\n{LOCAL},3\n", fitted=False)
    assert "send: original sends files as they are" in mistake


def test_a_row_that_is_finished_otherwise_is_the_same_row(rows: Callable[..., list[Row]]) -> None:
    (plain,) = rows(f"{HEADER}\n{LOCAL}\n")
    (finished,) = rows(f"{HEADER},finish,mask_feather,metadata\n{LOCAL},exact,9,no\n")
    (grown,) = rows(f"{HEADER},mask_grow\n{LOCAL},9\n")
    assert finished.fingerprint == plain.fingerprint != grown.fingerprint


@pytest.mark.parametrize("name", ["mask_grow", "finish"])
def test_a_setting_is_given_once(mistakes: Callable[..., list[str]], name: str) -> None:
    value = {"mask_grow": "1", "finish": "exact"}[name]
    (mistake,) = mistakes(f"defaults: {{{name}: {value}}}\n{name}: {value}\nrows: []\n", "night.yaml")[:1]
    assert f"{name} is given twice: here and in defaults" in mistake


def test_a_model_that_nobody_described_has_these_names_for_itself(rows: Callable[..., list[Row]]) -> None:
    model = unchecked_model("someone/something")
    (row,) = rows(f"{HEADER},padding\n{LOCAL},12\n", model=model)
    assert model.without_pixels(row.inputs)["padding"] == 12
    assert model.pixels(row.inputs) == Pixels()
