from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchfill.manifest.formats.jsonl import read_jsonl
from batchfill.manifest.record import Record
from batchfill.manifest.text import Lines

if TYPE_CHECKING:
    from collections.abc import Callable

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
        (f"{{{FILES}}}", "missing key prompt"),
        (f'{{{FILES}, "prompt": ""}}', "prompt is empty"),
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
