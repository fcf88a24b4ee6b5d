from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from batchfill.catalog.builtin import unchecked_model
from batchfill.domain.rows import Row
from batchfill.errors import Mistake
from tests.support.manifests import HEADER, URLS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def test_a_row_is_typed_priced_and_named(rows: Callable[..., list[Row]], folder: Path) -> None:
    (row,) = rows(
        "image,mask,prompt,num_outputs,guidance,seed,x_note\nimages/hero.png,http://x/m.png,a boat,2,3.5,,\n"
    )

    assert row.position == 0
    assert row.line == 2
    assert row.id is None
    assert row.stem == "hero"
    assert row.inputs == {
        "image": "images/hero.png",
        "mask": "http://x/m.png",
        "prompt": "a boat",
        "num_outputs": 2,
        "guidance": 3.5,
    }
    assert row.local_files["image"].path == folder / "images" / "hero.png"
    assert set(row.files) == {"image"}
    assert row.extra == {"x_note": ""}
    assert row.outputs_asked == 2
    assert row.price == 80_000


def test_a_given_price_goes_before_the_catalog_s(rows: Callable[..., list[Row]]) -> None:
    (row,) = rows(HEADER + f"a,{URLS},p\n", price=10_000)

    assert row.price == 10_000


def test_a_cell_wins_over_a_default_and_an_empty_one_does_not(rows: Callable[..., list[Row]]) -> None:
    own, default, blank = rows(
        f"image,mask,prompt,guidance\n{URLS},p,50\n{URLS},p,\n{URLS},p,  \n", defaults={"guidance": "20"}
    )

    assert [row.inputs["guidance"] for row in (own, default, blank)] == [50, 20, 20]


def test_a_default_may_be_a_file_for_all_rows(rows: Callable[..., list[Row]]) -> None:
    shared, own = rows(
        "image,prompt,mask\nhttp://x/a.png,p,\nhttp://x/a.png,p,http://x/m.png\n",
        defaults={"mask": "images/mask.png"},
    )

    assert set(shared.files) == {"mask"}
    assert own.files == {}


def test_a_needed_input_may_come_from_the_defaults_alone(rows: Callable[..., list[Row]]) -> None:
    (row,) = rows("image,mask\nhttp://x/a,http://x/m\n", defaults={"prompt": "a boat"})

    assert row.inputs["prompt"] == "a boat"


@pytest.mark.parametrize(
    ("header", "found"),
    [
        (
            "image,prompt",
            [
                "missing column mask: add it, or give one to all with `--set mask=…`; "
                "the columns are image, prompt"
            ],
        ),
        ("mask,prompt", ["missing column image: add it; the columns are mask, prompt"]),
        ("image,musk,prompt", ["unknown column musk; did you mean mask?"]),
        ("Image,image,mask,prompt", ["unknown column Image: name it x_Image"]),
        (
            "image,mask,prompt,colour",
            [
                "unknown column colour: name it x_colour to carry it to the results, or give "
                "--extra-columns keep"
            ],
        ),
        (
            "image,mask,prompt,Handle,Vendor,Colour",
            [
                "unknown columns Handle, Vendor, Colour: name them x_Handle … to carry them to the results, "
                "or give --extra-columns keep"
            ],
        ),
        ("image,mask,prompt,prompt", ["2 columns are named prompt: rename or remove all but one"]),
        ("image,,mask,prompt", ["column 2 has no name"]),
        ("image;mask,prompt", ["unknown column image;mask", "missing column mask"]),
        (
            "picture,guidence",
            [
                "to take picture for it, add --column image=picture",
                "unknown column guidence",
                "missing column mask",
            ],
        ),
    ],
)
def test_a_wrong_header_is_told_once_in_its_line_and_no_row_comes_out(
    read: Callable[..., list[Row | Mistake]], header: str, found: list[str]
) -> None:
    cells = ",".join(["http://x/a"] * (header.count(",") + 1))

    everything = read(f"\n{header}\n{cells}\n{cells}\n")

    assert all(isinstance(item, Mistake) and item.line == 2 for item in everything)
    messages = "\n".join(str(item) for item in everything)
    assert all(message in messages for message in found)


def test_a_thousand_columns_are_enough(mistakes: Callable[..., list[str]]) -> None:
    header = "image,mask,prompt," + ",".join(f"x_{n}" for n in range(998))

    assert mistakes(f"{header}\n{URLS},p\n") == ["night.csv:1: 1,001 columns; at most 1,000 are allowed"]


def test_rows_below_a_wrong_header_are_still_checked(mistakes: Callable[..., list[str]]) -> None:
    assert mistakes(f"image,mask,prompt,guidence,seed\n{URLS},p,1,x\n") == [
        "night.csv:1: unknown column guidence; did you mean guidance?",
        "night.csv:2: seed must be a whole number, not 'x'",
    ]


def test_every_mistake_of_every_row_is_told(mistakes: Callable[..., list[str]]) -> None:
    content = f"id,image,mask,prompt,guidance,num_outputs\na/b,nope.png,http://x/m,,x,9\nb,{URLS},p,101,\n"

    assert sorted(mistakes(content)) == sorted(
        [
            "night.csv:2: id 'a/b' holds '/'; letters, digits, '.', '_' and '-' are allowed",
            "night.csv:2: image: no such file nope.png",
            "night.csv:2: prompt is empty: fill it in, or give one to all with `--set prompt=…`",
            "night.csv:2: guidance must be a number, not 'x'",
            "night.csv:2: num_outputs must be between 1 and 4, not 9",
            "night.csv:3: guidance must be between 0 and 100, not 101",
        ]
    )


@pytest.mark.parametrize("content", [HEADER, HEADER + "\n,,,\n", HEADER.strip()])
def test_no_rows_at_all_is_a_mistake(mistakes: Callable[..., list[str]], content: str) -> None:
    assert mistakes(content) == ["night.csv: no rows: add one for each picture"]


@pytest.mark.parametrize(
    ("id_", "part"),
    [
        ("../../x", "holds '/'"),
        ("CON", "is a reserved name on Windows"),
        ("x" * 300, "id is 300 characters long; at most 100 are allowed"),
        ("a b", "holds ' '"),
        ("-x", "must not begin with"),
    ],
)
def test_an_id_that_is_no_file_name_is_a_mistake(
    mistakes: Callable[..., list[str]], id_: str, part: str
) -> None:
    (mistake,) = mistakes(HEADER + f"{id_},{URLS},p\n")

    assert mistake.startswith("night.csv:2: id ")
    assert part in mistake


def test_an_id_is_kept_in_normal_form_and_an_empty_one_is_none(rows: Callable[..., list[Row]]) -> None:
    accented, empty = rows(HEADER + f" cafe\u0301 ,{URLS},p\n,{URLS},p\n")

    assert accented.id == "caf\u00e9"
    assert (empty.id, empty.stem) == (None, "a")


def test_a_prompt_of_many_lines_and_100_000_characters_is_taken_and_one_more_is_not(
    read: Callable[..., list[Row | Mistake]],
) -> None:
    prompt = "飞船 🚀\n" * 20_000
    taken, refused = read(HEADER + f'a,{URLS},"{prompt}"\nb,{URLS},"{prompt}!"\n')

    assert isinstance(taken, Row)
    assert taken.inputs["prompt"] == prompt
    assert str(refused) == ("night.csv:20003: prompt holds 100,001 characters; at most 100,000 are allowed")


def test_a_prompt_of_300_kilobytes_is_a_mistake(mistakes: Callable[..., list[str]]) -> None:
    assert mistakes(HEADER + f"a,{URLS},{'x' * 300_000}\n") == [
        "night.csv:2: prompt holds 300,000 characters; at most 100,000 are allowed"
    ]


def test_a_message_is_one_short_printable_line(mistakes: Callable[..., list[str]]) -> None:
    (mistake,) = mistakes(f'image,mask,prompt,"\x1b[31m\n{"x" * 2000}"\n{URLS},p,\n')

    assert mistake.isprintable()
    assert len(mistake) < 600
    assert "\\x1b[31m\\n" in mistake


def test_columns_may_have_names_of_one_s_own(rows: Callable[..., list[Row]]) -> None:
    (row,) = rows(
        "name,photo_url,mask,prompt\nhero,http://x/a,http://x/m,p\n",
        column={"image": "photo_url", "id": "name"},
    )

    assert (row.id, row.inputs["image"]) == ("hero", "http://x/a")
    assert row.extra == {}


def test_one_column_may_serve_two_inputs(rows: Callable[..., list[Row]]) -> None:
    (row,) = rows("a,prompt\nhttp://x/a,p\n", column={"image": "a", "mask": "a"})

    assert row.inputs["image"] == row.inputs["mask"] == "http://x/a"


@pytest.mark.parametrize(
    ("column", "found"),
    [
        ({"image": "photo"}, ["night.csv:1: no column photo, which should be image; did you mean photos?"]),
        (
            {"seed": "nr"},
            ["night.csv:1: no column nr, which should be seed; the columns are image, mask, prompt, photos"],
        ),
        ({"imag": "photos"}, ["night.csv: column: unknown input imag; did you mean image?"]),
        (
            {"photos": "image"},
            ["night.csv: column: unknown input photos: the input comes first, so did you mean image=photos?"],
        ),
    ],
)
def test_a_column_setting_that_fits_nothing_is_a_mistake(
    mistakes: Callable[..., list[str]], column: dict[str, str], found: list[str]
) -> None:
    everything = mistakes(f"image,mask,prompt,photos\n{URLS},p,x\n", column=column)

    assert set(found) <= set(everything)


def test_a_column_whose_place_another_one_takes_is_a_mistake(mistakes: Callable[..., list[str]]) -> None:
    assert mistakes(f"image,mask,prompt,photo\n{URLS},p,x\n", column={"image": "photo"})[0] == (
        "night.csv:1: column image is not used: image is taken from photo"
    )


def test_a_name_that_no_row_has_is_told_at_the_end(mistakes: Callable[..., list[str]]) -> None:
    row = '{"image": "http://x/a", "mask": "http://x/m", "prompt": "p"}\n'

    assert mistakes(row * 2, "night.jsonl", column={"seed": "nr"}) == [
        "night.jsonl: column: no row has nr, which should be seed"
    ]


def test_x_columns_are_carried_and_other_unknown_ones_when_asked(rows: Callable[..., list[Row]]) -> None:
    (row,) = rows(f"image,mask,prompt,x_a,sku\n{URLS},p, 1 ,S-7\n", extra_columns=True)

    assert row.extra == {"x_a": " 1 ", "sku": "S-7"}


@pytest.mark.parametrize(
    ("defaults", "message"),
    [
        ({"guidence": "30"}, "unknown input guidence; did you mean guidance?"),
        ({"guidance": "300"}, "guidance must be between 0 and 100, not 300"),
        ({"mask": "nope.png"}, "mask: no such file nope.png"),
        ({"prompt": "x" * 100_001}, "prompt holds 100,001 characters; at most 100,000 are allowed"),
    ],
)
def test_a_wrong_default_is_told_once_and_no_row_comes_out(
    read: Callable[..., list[Row | Mistake]], defaults: dict[str, str], message: str
) -> None:
    assert [str(item) for item in read(HEADER + f"a,{URLS},p\n" * 3, defaults=defaults)] == [
        f"night.csv: defaults: {message}"
    ]


def test_an_undescribed_model_takes_every_column(rows: Callable[..., list[Row]]) -> None:
    (row,) = rows(
        "image,mask,prompt,steps,strength,fast,x_note\nimages/hero.png,http://x/m,012,20,0.5,true,n\n",
        model=unchecked_model("a/b"),
    )

    assert row.inputs == {
        "image": "images/hero.png",
        "mask": "http://x/m",
        "prompt": "012",
        "steps": 20,
        "strength": 0.5,
        "fast": True,
    }
    assert set(row.files) == {"image"}
    assert row.extra == {"x_note": "n"}
    assert row.price is None
