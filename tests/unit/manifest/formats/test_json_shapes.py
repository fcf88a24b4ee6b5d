from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchfill.errors import Mistake
from batchfill.manifest.formats.json_shapes import find_rows_list
from batchfill.manifest.record import Broken

if TYPE_CHECKING:
    from collections.abc import Callable

    from batchfill.domain.rows import Row

ROW: dict[str, Any] = {"image": "http://x/a", "mask": "http://x/m", "prompt": "p"}
FLAT = 'write a list of rows; pandas does with to_json(path, orient="records")'
DRAWN = "export its masks as pictures; `batchfill pair` makes a manifest of two folders"
LISTS = 'lists values where a row is an object that names them, such as {"image": "a.png", "mask": "b.png"}'
TABLE = f"is a table by columns, or rows by name ({{}}): {FLAT}"

DOCUMENTS: list[tuple[Any, str]] = [
    ({name: {"0": value} for name, value in ROW.items()}, TABLE.format("image, mask, prompt")),
    ({name: [value] for name, value in ROW.items()}, TABLE.format("image, mask, prompt")),
    ({"0": ROW, "1": ROW}, TABLE.format("0, 1")),
    ({"hero": ROW, "cat": ROW, "dog": ROW, "cow": ROW}, TABLE.format("hero, cat, dog and 1 more")),
    (
        {"columns": list(ROW), "index": [0], "data": [[*ROW.values()]]},
        f"is a table as pandas splits it: {FLAT}",
    ),
    ([list(ROW), list(ROW.values())], LISTS),
    (["a.png", "b.png"], LISTS),
    (
        {"version": "5.0", "flags": {}, "shapes": [{"points": [[1, 2]]}], "imagePath": "a.jpg"},
        f"is a LabelMe file, which marks one picture: {DRAWN}",
    ),
    (
        {"info": {}, "images": [{"id": 1}], "annotations": [{"id": 1}]},
        f"is a COCO file of annotations: {DRAWN}",
    ),
    ({"images": [{"id": 1}], "categories": []}, f"is a COCO file of annotations: {DRAWN}"),
    ({"_via_settings": {}, "_via_img_metadata": {}}, f"is a VGG file of annotations: {DRAWN}"),
    ([{"id": 1, "data": {"image": "a"}, "annotations": []}], f"is an export of Label Studio: {DRAWN}"),
    ([{"image": "a.jpg", "annotations": [{"label": "cat"}]}], f"is a file of annotations: {DRAWN}"),
    (
        {"records": [{"id": "rec1", "createdTime": "x", "fields": ROW}]},
        "is an answer of Airtable: export the table as CSV",
    ),
    ([{"id": "r", "createdTime": "x", "fields": ROW}], "is an answer of Airtable: export the table as CSV"),
    ({"a": [ROW], "b": [ROW]}, "has several lists, a, b: leave only the rows, as one list"),
    (
        {"frames": [{"matrix": [[1]]}]},
        f"has no rows, but values inside values under frames: {FLAT}",
    ),
    (
        {"data": {"rows": [ROW]}},
        "is one object (data), where a manifest is a list of rows such as "
        '{"image": "a.png", "mask": "b.png"}',
    ),
    (
        {"max_cost": 3, "rows": [ROW]},
        "has settings next to its rows (max_cost): give it the suffix .yaml, which has both",
    ),
    (
        {"rows": [ROW], "defaults": {"guidance": 3}},
        "has settings next to its rows (defaults): give it the suffix .yaml, which has both",
    ),
]


@pytest.mark.parametrize(("document", "told"), DOCUMENTS)
@pytest.mark.parametrize(("name", "indent"), [("n.json", None), ("n.jsonl", None), ("n", 1)])
def test_json_that_is_no_list_of_rows_is_told_in_one_sentence(
    mistakes: Callable[..., list[str]], document: Any, told: str, name: str, indent: int | None
) -> None:
    assert mistakes(json.dumps(document, indent=indent), name) == [f"{name}: {told}"]


@pytest.mark.parametrize("rows", [1, 4000])
def test_a_large_document_is_known_by_its_beginning(mistakes: Callable[..., list[str]], rows: int) -> None:
    text = json.dumps({"image": dict.fromkeys(map(str, range(rows)), "http://x/a"), "mask": {}})

    (found,) = mistakes(text, "n.json")

    assert FLAT in found or found.startswith("n.json: is one object (image)")


def test_rows_as_lists_are_one_mistake_in_lines_too(mistakes: Callable[..., list[str]]) -> None:
    lines = "\n".join(json.dumps(line) for line in (list(ROW), list(ROW.values()), list(ROW.values())))

    assert mistakes(lines, "n.jsonl") == [f"n.jsonl: {LISTS}"]


@pytest.mark.parametrize(
    ("document", "note"),
    [
        ({"rows": [ROW, ROW]}, "n.json: the rows are those of its list rows"),
        ({"data": [ROW, ROW]}, "n.json: the rows are those of its list data"),
        (
            {"schema": {"fields": [[1]]}, "data": [ROW, ROW], "next": None, "words": ["a", 1], "none": []},
            "n.json: the rows are those of its list data; what else it holds is left out: "
            "schema, next, words, none",
        ),
    ],
)
@pytest.mark.parametrize("indent", [None, 2])
def test_the_one_list_of_objects_in_an_object_is_read_and_said(
    read: Callable[..., list[Row | Mistake]], document: Any, note: str, indent: int | None
) -> None:
    notes: list[str] = []
    found = read(json.dumps(document, indent=indent), "n.json", note=notes.append)

    assert [item.inputs for item in found if not isinstance(item, Mistake)] == [ROW, ROW]
    assert notes == [note]


@pytest.mark.parametrize(
    ("behind", "told"),
    [
        ({"max_cost": 3}, "has settings next to its rows (max_cost)"),
        ({"more": [ROW]}, "has two lists of rows, rows and more: leave one of them"),
    ],
)
def test_what_stands_far_behind_the_rows_is_not_left_out_in_silence(
    read: Callable[..., list[Row | Mistake]], behind: dict[str, Any], told: str
) -> None:
    *_, last = read(json.dumps({"rows": [ROW] * 2000} | behind), "n.json")

    assert isinstance(last, Mistake)
    assert last.ends
    assert told in str(last)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('{"rows": [{"image": "http://x/a"}', "the list is not closed with ]"),
        ('{"rows": [{"image": "http://x/a"}]', "the object is not closed with }"),
    ],
)
def test_an_object_of_rows_that_is_cut_short_is_told(
    read: Callable[..., list[Row | Mistake]], text: str, told: str
) -> None:
    padded = text.replace("http://x/a", "http://x/" + "a" * 70_000)

    assert any(
        isinstance(item, Mistake) and told in str(item) and item.ends for item in read(padded, "n.json")
    )


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (json.dumps(ROW | {"tags": [1]}), "n.json:1: tags must be text, a number, true, false or null"),
        ('{"a": {"b": 1}}\n{"a": {"b": 1}}', "n.json:1: a must be text, a number, true, false or null"),
        ('{"a": {"b": 1}', "n.json:1: not a JSON object"),
    ],
)
def test_a_row_with_a_value_that_none_may_have_stays_a_row(
    mistakes: Callable[..., list[str]], text: str, told: str
) -> None:
    assert mistakes(text, "n.json")[0].startswith(told)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(JSON, st.integers(0, 200))
def test_no_json_and_no_part_of_one_makes_the_look_at_it_fail(value: object, length: int) -> None:
    text = json.dumps(value)[:length]
    for cut in (True, False):
        with suppress(Broken):
            assert find_rows_list(text, cut=cut) is None or text.startswith("{")
