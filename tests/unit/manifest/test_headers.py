from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

import pytest

from batchfill.catalog.builtin import unchecked_model
from batchfill.errors import Mistake
from tests.support.manifests import HEADER, URLS

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from batchfill.domain.rows import Row

ROW = f"a,{URLS},a boat\n"
MUST = "the first line must name the columns"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (
            "photos/a.jpg,masks/a.png,a cat\nphotos/b.jpg,masks/b.png,a dog\n",
            f"n.csv:1: {MUST}, such as id,image",
        ),
        ("\na.jpg;a.png;a cat\n", f"n.csv:2: {MUST}, such as id,image,mask,prompt: put such a line above"),
        (f"{URLS},x\n", f"n.csv:1: {MUST}, such as"),
        ("C:\\photos\\a,m,x\n", f"n.csv:1: {MUST}, such as"),
        ("Night of 3 May\n" + HEADER + ROW, f"n.csv:1: {MUST}; line 2 does: remove what is above it"),
        ("Night, first part,,\n\n\n" + HEADER + ROW, f"n.csv:1: {MUST}; line 4 does"),
        ("# image, mask and prompt\n" + HEADER + ROW, f"n.csv:1: {MUST}; line 2 does"),
        ("# a\n# b\n" + (HEADER + ROW).replace(",", "\t"), f"n.csv:1: {MUST}; line 3 does"),
        ("Report\nIMAGE;Mask;Prompt\n", f"n.csv:1: {MUST}; line 2 does"),
        ("image mask prompt\na.jpg a.png cat\n", f"n.csv:1: {MUST}, with commas, semicolons, tabs or bars"),
        ("image:mask:prompt\n", f"n.csv:1: {MUST}, with commas, semicolons, tabs or bars"),
    ],
)
def test_a_first_line_that_is_no_header_is_told_in_one_sentence(
    mistakes: Callable[..., list[str]], content: str, words: str
) -> None:
    (found,) = mistakes(content, "n.csv")

    assert found.startswith(words)


def test_a_title_above_the_header_of_a_workbook_is_told_with_the_line_of_the_header(
    mistakes: Callable[..., list[str]],
) -> None:
    import openpyxl

    book = openpyxl.Workbook()
    sheet: Any = book.active
    for line in (["Night"], [], ["Image", "Mask", "Prompt"], ["http://x/a", "http://x/m", "p"]):
        sheet.append(line)
    held = io.BytesIO()
    book.save(held)

    assert mistakes(held.getvalue(), "n.xlsx") == [f"n.xlsx:1: {MUST}; line 3 does: remove what is above it"]


def test_a_header_of_an_undescribed_model_may_be_anything(rows: Callable[..., list[Row]]) -> None:
    (row,) = rows("a/b,text\n1,x\n", model=unchecked_model("a/b"))

    assert row.inputs == {"a/b": 1, "text": "x"}


@pytest.mark.parametrize(
    "header",
    ["Image,Mask,Prompt,Num Outputs", "IMAGE,MASK,PROMPT,NUM_OUTPUTS", " image , Mask,prompt,Num-Outputs"],
)
def test_the_case_of_column_names_does_not_count(rows: Callable[..., list[Row]], header: str) -> None:
    (row,) = rows(f"{header}\n{URLS},p,2\n")
    (key,) = rows(
        '{"Image": "http://x/a.png", "MASK": "http://x/m.png", "Prompt": "p", "num outputs": 2}\n', "n.jsonl"
    )

    assert row.inputs == key.inputs
    assert row.inputs["num_outputs"] == 2


def test_the_case_of_a_mapped_column_does_not_count(rows: Callable[..., list[Row]]) -> None:
    (row,) = rows(f"image src,mask,Prompt\n{URLS},p\n", column={"image": "Image Src"})

    assert row.inputs["image"] == "http://x/a.png"


def test_where_extra_columns_are_kept_another_case_counts_only_for_what_is_missing(
    rows: Callable[..., list[Row]],
) -> None:
    (row,) = rows(f"image,Mask,Prompt,Seed,ID\n{URLS},p,7,9\n", extra_columns=True)

    assert row.inputs == {"image": "http://x/a.png", "mask": "http://x/m.png", "prompt": "p"}
    assert (row.id, row.extra) == (None, {"Seed": "7", "ID": "9"})


def test_a_key_that_is_kept_is_not_taken_for_a_mapped_one_of_another_case(
    rows: Callable[..., list[Row]],
) -> None:
    files = '"image": "http://x/a", "mask": "http://x/m", "prompt": "p"'
    content = f'{{{files}, "Seed": 7}}\n{{{files}, "SEED": 9}}\n'

    first, second = rows(content, "n.jsonl", column={"seed": "Seed"}, extra_columns=True)

    assert (first.inputs["seed"], second.extra) == (7, {"SEED": "9"})
    assert "seed" not in second.inputs


@pytest.mark.parametrize(
    ("name", "counts"),
    [("", "012"), ("", "123"), ("Unnamed: 0", "037"), ("index", "567"), ("", ["0.0", "1.0", "2.0"])],
)
def test_a_first_column_that_only_counts_is_left_out_with_a_note(
    rows: Callable[..., list[Row]], name: str, counts: str
) -> None:
    notes: list[str] = []
    content = f"{name},image,mask,prompt\n" + "".join(f"{n},{URLS},p\n" for n in counts)

    assert len(rows(content, note=notes.append)) == 3
    assert notes == [f"the first column, {name or 'which has no name'}, only counts the rows: it is left out"]


@pytest.mark.parametrize(
    "counts", ["011", "210", "0a1", ["1", "", "2"], ["-1", "0", "1"], ["1.5", "2.5", "3.5"]]
)
def test_a_first_column_without_a_name_that_does_not_count_is_a_mistake(
    read: Callable[..., list[Row | Mistake]], counts: str
) -> None:
    found = read(",image,mask,prompt\n" + "".join(f"{n},{URLS},p\n" for n in counts))
    (mistake,) = (item for item in found if isinstance(item, Mistake))

    assert (str(mistake), mistake.ends) == ("night.csv:1: column 1 has no name", True)


SHOP = [
    *("Handle", "Title", "Body (HTML)", "Vendor", "Product Category", "Type", "Tags", "Published"),
    *(f"Option{n} {what}" for n in (1, 2, 3) for what in ("Name", "Value", "Linked To")),
    *(
        f"Variant {what}"
        for what in ("SKU", "Grams", "Inventory Tracker", "Inventory Qty", "Inventory Policy")
    ),
    *(
        f"Variant {what}"
        for what in ("Fulfillment Service", "Price", "Compare At Price", "Requires Shipping")
    ),
    *("Variant Taxable", "Variant Barcode", "Image Src", "Image Position", "Image Alt Text", "Gift Card"),
    *(
        "SEO Title",
        "SEO Description",
        *(f"Google Shopping / {n}" for n in range(10)),
        "Cost per item",
        "Status",
    ),
]


def shop(*rows: dict[str, str]) -> str:
    held = io.StringIO()
    table = csv.DictWriter(held, SHOP)
    table.writeheader()
    table.writerows(rows)
    return held.getvalue()


LAMP = {"Handle": "lamp", "Title": "A lamp, brass", "Image Src": "https://x/a b.jpg?v=1", "Status": "active"}
MAPPED: dict[str, Any] = {
    "column": {"image": "Image Src", "prompt": "Title"},
    "defaults": {"mask": "images/mask.png"},
}


def test_a_shop_s_export_is_read_with_its_columns_kept(rows: Callable[..., list[Row]]) -> None:
    (row,) = rows(shop(LAMP), extra_columns=True, **MAPPED)

    assert len(SHOP) == 46
    assert row.inputs["prompt"] == "A lamp, brass"
    assert row.inputs["image"] == "https://x/a%20b.jpg?v=1"
    assert len(row.extra) == 44


def test_columns_of_a_shop_that_are_not_kept_are_one_mistake_with_the_flag(
    mistakes: Callable[..., list[str]],
) -> None:
    (found,) = mistakes(shop(LAMP), **MAPPED)

    assert found == (
        "night.csv:1: unknown columns Handle, Body (HTML), Vendor, Product Category, Type and 39 more: name "
        "them x_Handle … to carry them to the results, or give --extra-columns keep"
    )


@pytest.mark.parametrize(
    ("header", "told"),
    [
        (
            "bild,maske,text",
            "no column image, mask or prompt: to take bild, maske and text for them, add "
            "--column image=bild --column mask=maske --column prompt=text",
        ),
        (
            "画像,マスク,プロンプト",
            "no column image, mask or prompt: to take 画像, マスク and プロンプト for them, add "
            "--column image=画像 --column mask=マスク --column prompt=プロンプト",
        ),
        (
            "mask,Image Src,prompt",
            'no column image: to take Image Src for it, add --column image="Image Src"',
        ),
        (
            "foo,bar,baz",
            "unknown columns foo, bar, baz: say which is which, with "
            "--column prompt=NAME --column image=NAME --column mask=NAME",
        ),
        (
            "“image”,“mask”,“prompt”",
            '“ and ” are no quotes of a table: put " in their place, in the whole file',
        ),
        (
            "'image','mask','prompt'",
            "' and ' are no quotes of a table: put \" in their place, in the whole file",
        ),
        (
            "`image`,`mask`,`prompt`",
            '` and ` are no quotes of a table: put " in their place, in the whole file',
        ),
    ],
)
def test_a_header_in_other_words_is_one_mistake(
    mistakes: Callable[..., list[str]], header: str, told: str
) -> None:
    assert mistakes(f"{header}\n{URLS},p\n", "n.csv") == [f"n.csv:1: {told}"]


@pytest.mark.parametrize(
    ("name", "told"),
    [("ids", "; did you mean id?"), ("idd", "; did you mean id?"), ("side", ": name it x_side")],
)
def test_half_the_letters_of_a_short_name_are_no_likeness(
    mistakes: Callable[..., list[str]], name: str, told: str
) -> None:
    (found,) = mistakes(f"{name},image,mask,prompt\n1,{URLS},p\n", "n.csv")

    assert found.startswith(f"n.csv:1: unknown column {name}{told}")


def test_names_in_other_words_are_told_where_extra_columns_are_kept_and_of_keys(
    mistakes: Callable[..., list[str]], rows: Callable[..., list[Row]]
) -> None:
    table = f"Bild,Maske,prompt,Preis\n{URLS},p,3\n"
    told = "no column image or mask: to take Bild and Maske for them, add "
    told += "--column image=Bild --column mask=Maske"

    assert mistakes(table, "n.csv", extra_columns=True) == [f"n.csv:1: {told}"]
    assert mistakes('{"Bild": "http://x/a", "Maske": "http://x/m", "prompt": "p"}', "n.jsonl") == [
        f"n.jsonl:1: {told.replace('column image or', 'key image or')}"
    ]
    (row,) = rows(table, "n.csv", extra_columns=True, column={"image": "Bild", "mask": "Maske"})
    assert row.extra == {"Preis": "3"}
