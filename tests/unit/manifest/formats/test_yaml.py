from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import yaml

from batchfill.domain.rows import Row
from batchfill.manifest.formats import yaml as yaml_format

if TYPE_CHECKING:
    from collections.abc import Callable

    from batchfill.errors import Mistake

FILES = "image: http://x/a.png, mask: http://x/m.png"
NO_ROW = "not a row: expected names and values, such as {image: a.png, mask: b.png, prompt: a boat}"
ROW = f"  - {{{FILES}, prompt: a boat}}\n"


@pytest.fixture(params=["CSafeLoader", "SafeLoader"], autouse=True)
def loader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both parsers: the wheels bring the quick one, a system without libyaml has the other."""
    monkeypatch.setattr(yaml_format, "_LOADER", getattr(yaml, request.param))


@pytest.mark.parametrize(
    ("scalar", "prompt"),
    [
        ("no", "no"),
        ("012", "012"),
        ("12:30:45", "12:30:45"),
        ("2024-01-01", "2024-01-01"),
        ("1e3", "1e3"),
        ("'null'", "null"),
        ('" a\\n🚀 "', " a\n🚀 "),
        ("|\n      two\n      lines\n", "two\nlines\n"),
    ],
)
def test_scalars_of_rows_are_text(rows: Callable[..., list[Row]], scalar: str, prompt: str) -> None:
    (row,) = rows(f"rows:\n  - image: http://x/a\n    mask: http://x/m\n    prompt: {scalar}\n", "night.yaml")

    assert row.inputs["prompt"] == prompt


@pytest.mark.parametrize("scalar", ["", "~", "null", "NULL", "''"])
def test_empty_scalars_are_empty_cells(rows: Callable[..., list[Row]], scalar: str) -> None:
    (row,) = rows(f"- {{{FILES}, prompt: p, seed: {scalar}}}\n", "night.yaml")

    assert "seed" not in row.inputs


def test_numbers_are_typed_by_the_model(rows: Callable[..., list[Row]]) -> None:
    (row,) = rows(f"- {{{FILES}, prompt: p, guidance: 30.0, megapixels: 1, seed: '7'}}\n", "night.yaml")

    assert (row.inputs["guidance"], row.inputs["megapixels"], row.inputs["seed"]) == (30, "1", 7)


def test_rows_may_follow_settings_or_stand_alone(rows: Callable[..., list[Row]]) -> None:
    below = rows("concurrency: 3\n\nrows:\n" + ROW * 2, "night.yaml")
    alone = rows(ROW.removeprefix("  ") * 2, "night.yaml")
    flow = rows(f"{{rows: [{{{FILES}, prompt: a boat}}]}}", "night.yaml")

    assert [row.line for row in below] == [4, 5]
    assert [row.line for row in alone] == [1, 2]
    assert below[0].fingerprint == alone[0].fingerprint == flow[0].fingerprint


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (
            "- text",
            "not a row: expected names and values, such as {image: a.png, mask: b.png, prompt: a boat}",
        ),
        (
            "- [a, b]",
            "not a row: expected names and values, such as {image: a.png, mask: b.png, prompt: a boat}",
        ),
        (f"- {{{FILES}, prompt: a, prompt: b}}", "prompt is given twice"),
        (
            f"- {{{FILES}, prompt: [a, [b]]}}",
            "prompt must be a single value: a text that begins with { or [ needs quotes",
        ),
        (
            f"- {{{FILES}, prompt: {{a: b}}}}",
            "prompt must be a single value: a text that begins with { or [ needs quotes",
        ),
        (f"- {{{FILES}, prompt: *boat}}", "the alias *boat is not allowed: write the value out"),
        (f"- {{{FILES}, prompt: &boat a}}", "the anchor &boat is not allowed"),
        (f"- {{{FILES}, prompt: !!str a}}", "the tag !!str is not allowed"),
        ("- !!python/object/apply:os.system [x]", "the tag !!python/object/apply:os.system is not allowed"),
        ("- *boat", "the alias *boat is not allowed: write the value out"),
        (f"- {{{FILES}, prompt: p, ? [a] : b}}", "a name must be a plain word"),
        (f'- {{{FILES}, prompt: "a\\0b"}}', "prompt holds a NUL character"),
        (f"- {{{FILES}, prompt: p, guidance: 1000}}", "guidance must be between 0 and 100, not 1000"),
        (f"- {{{FILES}}}", "missing key prompt: add it, or give one to all with `--set prompt=…`"),
        (
            f"- {{{FILES}, <<: {{}}, prompt: p}}",
            "<< must be a single value: a text that begins with { or [ needs quotes",
        ),
    ],
)
def test_a_thing_that_is_no_row_is_a_mistake_and_reading_goes_on(
    read: Callable[..., list[Row | Mistake]], row: str, message: str
) -> None:
    first, mistake, last = read(f"rows:\n{ROW}  {row}\n{ROW}", "night.yaml")

    assert str(mistake) == f"night.yaml:3: {message}"
    assert isinstance(first, Row)
    assert isinstance(last, Row)


@pytest.mark.parametrize(
    ("content", "beginning"),
    [
        (f"rows:\n{ROW}\t- a\n", "night.yaml:3: not YAML: "),
        (f"rows:\n{ROW}  - {{a: [b}}\n", "night.yaml:3: not YAML: "),
        (f"rows:\n{ROW}  - {{a: b\n", "night.yaml:"),
        (f"rows:\n{ROW}---\nrows: []\n", "night.yaml:3: a second document (---): a manifest is one"),
        (f"rows:\n{ROW}concurrency: 3\n", "night.yaml:3: concurrency comes after rows: move it above them"),
        (f"rows:\n{ROW}rows: []\n", "night.yaml:3: rows comes after rows: move it above them"),
        (
            "rows:\n" + ROW * 1200 + '  - {a: "\x01"}\n',
            "night.yaml:1202: holds the control character '\\x01'",
        ),
    ],
)
def test_what_cannot_be_read_is_told_with_its_line(
    mistakes: Callable[..., list[str]], content: str, beginning: str
) -> None:
    (mistake,) = mistakes(content, "night.yaml")

    assert mistake.startswith(beginning)
    assert "\n" not in mistake


def test_a_tab_is_named_as_the_likely_culprit(mistakes: Callable[..., list[str]]) -> None:
    (mistake,) = mistakes("rows:\n\t- image: a\n", "night.yaml")

    assert mistake.startswith("night.yaml:2: not YAML: ")
    assert "never with tabs" in mistake


def test_an_alias_bomb_does_not_go_off(mistakes: Callable[..., list[str]]) -> None:
    bomb = "a: &a [x, x]\n" + "".join(
        f"{b}: &{b} [*{a}, *{a}, *{a}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
    )
    (first, *_, last) = mistakes(f"{bomb}rows: *i\n", "night.yaml")

    assert first == "night.yaml: no rows: add `rows:` and a list below it, or `rows: night.csv`"
    assert last == "night.yaml:10: rows: the alias *i is not allowed: write the value out"


def test_deep_nesting_is_a_mistake(mistakes: Callable[..., list[str]]) -> None:
    assert mistakes(f"rows:\n{ROW}  - {'[' * 900}{']' * 900}\n", "night.yaml") == [f"night.yaml:3: {NO_ROW}"]


@pytest.mark.parametrize(
    ("prompt", "advice"),
    [
        (
            "a cat: asleep",
            'a text that holds ": " or ends with : needs quotes, such as prompt: "a cat: asleep"',
        ),
        ("a cat:", 'a text that holds ": " or ends with : needs quotes'),
        ("'a cat's tail'", "text goes on behind a quote or a bracket: put double quotes round all of it"),
        ('"a 12" ruler"', "text goes on behind a quote or a bracket: put double quotes round all of it"),
        ("{colour} sofa", "text goes on behind a quote or a bracket: put double quotes round all of it"),
        ("[red] car", "text goes on behind a quote or a bracket: put double quotes round all of it"),
        ("{colour}", "prompt must be a single value: a text that begins with { or [ needs quotes"),
        ("- a cat", "a text that begins with - or ? needs quotes"),
        ("*bold* cat", "a text that begins with * or & needs quotes"),
        ("> a cat", "a text that begins with > or | needs quotes"),
        ("@cat", "put quotes round text with special characters"),
        ('"C:\\xq"', "in double quotes \\ is special: write \\\\, or take single quotes"),
        ('"open', "a quote opens here or above and is never closed"),
        ("a cat\n  asleep", "a text of several lines needs quotes round all of it"),
    ],
)
def test_a_slip_of_yaml_is_told_with_what_to_do(
    mistakes: Callable[..., list[str]], prompt: str, advice: str
) -> None:
    content = f"rows:\n  - image: http://x/a\n    mask: http://x/m\n    prompt: {prompt}\n    id: a\n"

    assert any(advice in mistake for mistake in mistakes(content, "night.yaml"))


@pytest.mark.parametrize("prompt", ["a cat: asleep", "'a cat's tail'", "a [red] {car}", "a {car"])
def test_a_slip_inside_braces_is_told_too(mistakes: Callable[..., list[str]], prompt: str) -> None:
    (found,) = mistakes(
        f"rows:\n  - {{image: http://x/a, mask: http://x/m, prompt: {prompt}}}\n", "night.yaml"
    )[:1]

    assert "between { } or [ ], a text that holds one of : , { } [ ] needs double quotes" in found
