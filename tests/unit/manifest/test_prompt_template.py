from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchfill.manifest.prompt_template import PromptTemplate, is_template
from batchfill.manifest.record import CELL_LIMIT

if TYPE_CHECKING:
    from collections.abc import Callable

    from batchfill.domain.rows import Row

NAMES = ("image", "x_colour", "x_room", "X_ROOM", "Größe", "a b")
CELLS = ("i.png", " red ", "{x_room}", "hall", "1,5", "{{")


@pytest.mark.parametrize(
    ("text", "prompt"),
    [
        ("a {x_colour} sofa in a {X_ROOM}", "a red sofa in a hall"),
        ("{x_colour}{x_colour}", "redred"),
        ("{ x_colour }", "red"),
        ("{X_Colour}, {größe}", "red, 1,5"),
        ("{{x_colour}}", "{x_colour}"),
        ("{{{x_colour}}}", "{red}"),
        ("{{{{x_colour", "{{x_colour"),
        ("a } b", "a } b"),
        ("{a b}", "{{"),
        # What a cell holds is text, whatever it looks like.
        ("{x_room} {x_colour}", "{x_room} red"),
        ("\n{x_colour}\n", "\nred\n"),
        ("no column", "no column"),
    ],
)
def test_columns_are_filled_in(text: str, prompt: str) -> None:
    template = PromptTemplate(text)

    assert template.find_unknown(NAMES) == []
    assert template.fill(NAMES, CELLS) == prompt


@pytest.mark.parametrize("text", ["a { sofa", "{", "a {} sofa", "{  }", "{{{", "{a{x_colour}}", "{x_colour"])
def test_a_brace_that_names_nothing_is_a_mistake(text: str) -> None:
    with pytest.raises(ValueError, match=r"that names no column: write \{\{ for a brace$"):
        PromptTemplate(text)


@pytest.mark.parametrize(
    ("text", "unknown"),
    [
        ("{x_color} {x_colour}", ["{x_color}, and there is none; did you mean x_colour?"]),
        ('{"json": 1}', ['{"json": 1}, and there is none: write {{ for a brace']),
        ("{nothing} {nothing}", ["{nothing}, and there is none: write {{ for a brace"]),
        # Two columns that differ in case: neither is meant more than the other.
        ("{X_Room}", ["{X_Room}, and there is none; did you mean X_ROOM?"]),
    ],
)
def test_a_column_that_is_not_there_is_told_once(text: str, unknown: list[str]) -> None:
    assert PromptTemplate(text).find_unknown(NAMES) == unknown


def test_every_empty_cell_is_told() -> None:
    template = PromptTemplate("{x_colour} {x_room} {x_colour} {image}")

    with pytest.raises(
        ValueError,
        match=r"^x_colour is empty, and the default prompt names it; x_room is empty, and the default prompt",
    ):
        template.fill(NAMES, ("i.png", " ", "", "hall", "", ""))


@given(st.text(), st.text(min_size=1).filter(str.strip))
def test_any_text_can_be_written_with_double_braces(text: str, cell: str) -> None:
    escaped = text.replace("{", "{{").replace("}", "}}")

    assert PromptTemplate(escaped).fill((), ()) == text
    filled = PromptTemplate(f"{escaped}{{x_a}}{escaped}").fill(("x_a",), (cell,))
    assert filled == f"{text}{cell.strip()}{text}"
    assert is_template(escaped) or escaped == text


# In a manifest

DEFAULT = {"prompt": "a {x_colour} sofa"}
HEAD = 'defaults: {prompt: "a {x_colour} sofa"}\nrows:\n'
FILES = "image: images/hero.png, mask: images/mask.png"


@pytest.mark.parametrize(
    ("name", "content", "options"),
    [
        (
            "night.csv",
            "image,mask,prompt,x_colour\nimages/hero.png,images/mask.png,,red\n"
            "images/hero.png,images/mask.png,{x_colour} {y},blue\n",
            {"defaults": DEFAULT},
        ),
        (
            "night.jsonl",
            '{"image": "images/hero.png", "mask": "images/mask.png", "x_colour": "red"}\n'
            '{"image": "images/hero.png", "mask": "images/mask.png", "prompt": "{x_colour} {y}"}\n',
            {"defaults": DEFAULT},
        ),
        (
            "night.yaml",
            f'{HEAD}  - {{{FILES}, x_colour: red}}\n  - {{{FILES}, prompt: "{{x_colour}} {{y}}"}}\n',
            {},
        ),
    ],
)
def test_rows_without_a_prompt_take_the_default_filled_in_and_a_prompt_of_their_own_as_it_is(
    rows: Callable[..., list[Row]], name: str, content: str, options: dict[str, Any]
) -> None:
    found = rows(content, name, **options)

    assert [row.inputs["prompt"] for row in found] == ["a red sofa", "{x_colour} {y}"]


def test_the_fingerprint_is_that_of_the_prompt_as_filled_in(rows: Callable[..., list[Row]]) -> None:
    files = "images/hero.png,images/mask.png"
    filled = rows(f"image,mask,x_colour\n{files},red\n{files},blue\n", defaults=DEFAULT)
    written = rows(f"image,mask,prompt\n{files},a red sofa\n{files},a blue sofa\n")

    assert [row.fingerprint for row in filled] == [row.fingerprint for row in written]


@pytest.mark.parametrize(
    ("content", "name", "options", "told"),
    [
        (
            "image,mask,x_colour\nimages/hero.png,images/mask.png,red\n",
            "night.csv",
            {"defaults": {"prompt": "a {x_color} sofa"}},
            "night.csv:1: the default prompt names the column {x_color}, and there is none; "
            "did you mean x_colour?",
        ),
        (
            "image,mask,x_colour\nimages/hero.png,images/mask.png,red\n"
            "images/hero.png,images/mask.png, \nimages/hero.png,images/mask.png\n",
            "night.csv",
            {"defaults": DEFAULT},
            "night.csv:3: x_colour is empty, and the default prompt names it\n"
            "night.csv:4: x_colour is empty, and the default prompt names it",
        ),
        (
            "image,mask,x_colour\nimages/hero.png,images/mask.png,red\n",
            "night.csv",
            {"defaults": {"prompt": "a { sofa"}},
            "night.csv: defaults: prompt has a { that names no column: write {{ for a brace",
        ),
        (
            f"{HEAD}  - {{{FILES}, x_color: red}}\n",
            "night.yaml",
            {},
            "night.yaml:3: the default prompt names the column {x_colour}, and there is none; "
            "did you mean x_color?",
        ),
        (
            "image,mask,x_colour\nimages/hero.png,images/mask.png,red\n",
            "night.csv",
            {"defaults": {"prompt": "{x_colour}" * (CELL_LIMIT // 2)}},
            r"night.csv: defaults: prompt holds 500,000 characters; at most 100,000 are allowed",
        ),
        (
            f"image,mask,x_colour\nimages/hero.png,images/mask.png,{'r' * 60_000}\n",
            "night.csv",
            {"defaults": {"prompt": "{x_colour}{x_colour}"}},
            "night.csv:2: prompt holds 120,000 characters; at most 100,000 are allowed",
        ),
    ],
)
def test_what_cannot_be_filled_in_is_a_mistake_at_its_line(
    mistakes: Callable[..., list[str]], content: str, name: str, options: dict[str, Any], told: str
) -> None:
    assert "\n".join(mistakes(content, name, **options)) == told


def test_a_column_that_the_manifest_s_own_default_names_is_told_where_that_stands(
    mistakes: Callable[..., list[str]], folder: Any
) -> None:
    (folder / "rows.csv").write_text("image,mask,x_color\nimages/hero.png,images/mask.png,red\n")
    head = 'price: 1\ndefaults:\n  prompt: "a {x_colour} sofa"\nrows: rows.csv\n'

    (told,) = mistakes(head, "night.yaml")

    assert re.match(r"night\.yaml:3: the default prompt names the column \{x_colour\}, and there", told)


def test_a_default_prompt_can_be_taken_as_it_stands(rows: Callable[..., list[Row]]) -> None:
    content = "image,mask,x_colour\nimages/hero.png,images/mask.png,\n"

    (row,) = rows(content, defaults={"prompt": "{{ {x_color}"}, literal_prompt=True)

    assert row.inputs["prompt"] == "{{ {x_color}"


@pytest.mark.parametrize(
    ("template", "prompt", "judged"),
    [
        ("a {{new}} sofa", "a {new} sofa", "a new sofa"),
        ("a {{new}} sofa", "a {new} sofa, red", "a {new} sofa, red"),
        ("a {{new}} {x_colour} sofa", "a {new} red sofa", "a new red sofa"),
        ("a {{new}} {x_colour} sofa", "a {new} {red} sofa", "a new {red} sofa"),
        ("{{{x_colour}}}", "{red}", "red"),
        ("{x_colour}{{x}}{x_room}", "red{x}hall{x}", "redxhall{x}"),
        ("{x_colour} and {x_room}", "{red} and {blue}", "{red} and {blue}"),
        ("a {{b", "a {b", "a b"),
        ("a{x_colour}a", "a", "a"),
        ("{{new}} {x_colour} sofa", "a {new} sofa", "a {new} sofa"),
        ("{x_colour} in {x_room} sofa", "in sofa", "in sofa"),
    ],
)
def test_braces_that_a_template_means_are_left_out_of_what_is_judged(
    template: str, prompt: str, judged: str
) -> None:
    assert PromptTemplate(template).without_braces(prompt) == judged


@given(st.text("{}ab ", max_size=12), st.lists(st.text("{}ab ", max_size=4), min_size=3, max_size=3))
def test_what_a_template_filled_in_loses_nothing_but_its_braces(text: str, cells: list[str]) -> None:
    escaped = text.replace("{", "{{").replace("}", "}}").replace("a", "{x_a}").replace("b", "{x_b}")
    template = PromptTemplate(escaped)
    if not all(cell.strip() for cell in cells):
        return
    filled = template.fill(("x_a", "x_b", "x_c"), cells)

    judged = template.without_braces(filled)

    assert judged.replace("{", "").replace("}", "") == filled.replace("{", "").replace("}", "")
    assert len(filled) - len(judged) == text.count("{") + text.count("}")
