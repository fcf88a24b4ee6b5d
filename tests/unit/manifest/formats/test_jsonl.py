from __future__ import annotations

import io
import json
import tracemalloc
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchfill.manifest.formats.jsonl import read_jsonl
from batchfill.manifest.local_files import digest_file
from batchfill.manifest.manifest import open_manifest
from batchfill.manifest.record import Record
from batchfill.manifest.text import Lines
from batchfill.manifest.validation import read_rows

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from batchfill.catalog.model import Model
    from batchfill.domain.rows import Row

FILES = '"image": "http://x/a.png", "mask": "http://x/m.png"'


def test_a_number_and_its_text_are_the_same_row(rows: Callable[..., list[Row]]) -> None:
    first, second, third = rows(
        f'{{{FILES}, "prompt": "p", "guidance": 30}}\n\n'
        f'{{{FILES}, "prompt": "p", "guidance": "30"}}\r\n'
        f'{{"guidance": 30.0, "prompt": "p", "seed": null, "lora_scale": "", {FILES}}}\n',
        "night.jsonl",
    )

    assert first.inputs["guidance"] == 30
    assert first.fingerprint == second.fingerprint == third.fingerprint
    assert [first.line, second.line, third.line] == [1, 3, 4]


def test_booleans_are_typed_by_the_model(rows: Callable[..., list[Row]]) -> None:
    (row,) = rows(f'{{{FILES}, "prompt": "p", "disable_safety_checker": true}}', "night.jsonl")

    assert row.inputs["disable_safety_checker"] is True


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"image": 1, "image": 2}', "image is given twice"),
        ('{"prompt": {"a": 1}}', "prompt must be text, a number, true, false or null"),
        ('{"prompt": []}', "prompt must be text, a number, true, false or null"),
        ('{"guidance": NaN}', "NaN is no JSON number"),
        ("[1]", 'one object a line is expected, such as {"image": "a.png", "mask": "b.png"}'),
        ('"x"', 'one object a line is expected, such as {"image": "a.png", "mask": "b.png"}'),
        ("{", "not a JSON object: Expecting property name enclosed in double quotes at character 2"),
        ('{"image": 1},', "not a JSON object: Extra data at character 13"),
        ("[" * 50_000, "values inside values inside values"),
        (f'{{{FILES}, "prompt": "\\ud83d"}}', "prompt holds half a character: a broken emoji?"),
        (f'{{{FILES}, "prompt": "a\\u0000b"}}', "prompt holds a NUL character"),
        (f'{{{FILES}, "prompt": "p", "guidance": 1e3}}', "guidance must be between 0 and 100, not 1e3"),
        (f"{{{FILES}}}", "missing key prompt: add it, or give one to all with `--set prompt=…`"),
        (
            f'{{{FILES}, "prompt": ""}}',
            "prompt is empty: fill it in, or give one to all with `--set prompt=…`",
        ),
        (f'{{{FILES}, "prompt": "p", "guidence": 3}}', "unknown key guidence; did you mean guidance?"),
    ],
)
def test_a_line_that_is_no_row_is_a_mistake_and_reading_goes_on(
    mistakes: Callable[..., list[str]], line: str, message: str
) -> None:
    good = f'{{{FILES}, "prompt": "p"}}\n'

    assert mistakes(f"{good}{line}\n{good}[]\n", "night.jsonl")[:-1] == [f"night.jsonl:2: {message}"]


SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
)


@given(st.dictionaries(st.text(), SCALARS))
def test_every_flat_object_is_read(value: dict[str, object]) -> None:
    (record,) = read_jsonl(Lines(io.StringIO(json.dumps(value) + "\n")))

    assert isinstance(record, Record)
    assert record.names == tuple(value)


ROWS: list[dict[str, Any]] = [
    {
        "image": "http://x/a",
        "mask": "http://x/m",
        "prompt": 'a "boat", { ] 飞船\n',
        "seed": 7,
        "guidance": 3.5,
    },
    {"image": "http://x/a", "mask": "http://x/m", "prompt": "two", "seed": None},
]


@pytest.mark.parametrize(
    "content",
    [
        json.dumps(ROWS),
        json.dumps(ROWS, indent=2),
        json.dumps(ROWS, indent=None, separators=(",\n", ":\n")),
        "\ufeff\n\n" + json.dumps(ROWS, ensure_ascii=False) + "\n\n",
        "[\n" + ",\n".join(map(json.dumps, ROWS)) + ",\n]\n",
        "\n".join(json.dumps(row, indent=2) for row in ROWS),
        ",\n".join(map(json.dumps, ROWS)),
    ],
)
@pytest.mark.parametrize("name", ["n.jsonl", "n.json", "n"])
def test_a_list_of_objects_is_read_however_it_is_laid_out(
    rows: Callable[..., list[Row]], content: str, name: str
) -> None:
    first, second = rows(content, name)

    assert first.inputs == ROWS[0]
    assert second.inputs == {name: value for name, value in ROWS[1].items() if value is not None}


def test_rows_of_a_list_have_the_lines_where_they_begin(rows: Callable[..., list[Row]]) -> None:
    assert [row.line for row in rows("\n" + json.dumps(ROWS * 3, indent=1), "n.json")] == [
        3,
        10,
        16,
        23,
        29,
        36,
    ]


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ('[{"image": 1}\n,\n7]', "n.json:3: one object a row is expected"),
        ('[{"image": 1},\n {"a": }]', "n.json:2: not JSON: Expecting value"),
        ('[{"image": 1},\n {"image": "a', "n.json:2: not JSON: Unterminated string"),
        ('[{"image": 1},\n', "n.json:2: the list is not closed with ]"),
        ('[{"image": 1}]\n\n[]', "n.json:3: a manifest is one list, and this is behind its end"),
        ('[\n{"image": NaN}]', "n.json:2: NaN is no JSON number"),
        ('[\n{"image": ["a"]}]', "n.json:2: image must be text, a number, true, false or null"),
        ('[\n{"image": 1, "image": 2}]', "n.json:2: image is given twice"),
        ('[\n{"image": ' + "[" * 100_000, "n.json:2: values inside values inside values"),
        ('[{"image": "' + "x" * 1_200_000, "n.json:1: a row of more than 1,000,000 characters, or no JSON"),
        ("[]", "n.json: no rows"),
    ],
)
def test_what_is_wrong_in_a_list_is_told_with_its_line(
    mistakes: Callable[..., list[str]], content: str, found: str
) -> None:
    assert any(mistake.startswith(found) for mistake in mistakes(content, "n.json"))


def test_a_long_list_on_one_line_is_read_piece_by_piece(folder: Path, dev: Model) -> None:
    path = folder / "n.json"
    row = '{"image": "http://x/a", "mask": "http://x/m", "prompt": "p"}'
    path.write_text(f"[{','.join([row] * 5000)}]")

    tracemalloc.start()
    assert sum(1 for _ in read_rows(open_manifest(path), dev, digest=digest_file)) == 5000
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    # The text alone is half as much.
    assert peak < 600_000
