from __future__ import annotations

import json
import math
import re
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchfill.catalog.field import Field, FieldType, guess_value

if TYPE_CHECKING:
    from batchfill.catalog.model import Model
    from batchfill.domain.rows import Input

NUMBER = Field(name="guidance", type=FieldType.NUMBER, minimum=0, maximum=100)
FREE_NUMBER = Field(name="strength", type=FieldType.NUMBER)
INTEGER = Field(name="seed", type=FieldType.INTEGER)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("num_outputs", "2", 2),
        ("num_outputs", " 2 ", 2),
        ("num_outputs", "2.0", 2),
        ("num_outputs", "2.", 2),
        ("seed", "-7", -7),
        ("seed", "0042", 42),
        ("seed", "999999999999999999", 999999999999999999),
        ("guidance", "30", 30),
        ("guidance", "30.0", 30),
        ("guidance", "3e1", 30),
        ("guidance", " 3.5 ", 3.5),
        ("lora_scale", "-.5", -0.5),
        ("megapixels", "1", "1"),
        ("megapixels", "1.0", "1"),
        ("megapixels", "0.250", "0.25"),
        ("megapixels", ".25", "0.25"),
        ("megapixels", " match_input ", "match_input"),
        ("output_format", "png", "png"),
        ("guidance", "3,5", 3.5),
        ("guidance", "0,500", 0.5),
        ("guidance", " 30,00 ", 30),
        ("lora_scale", "-,5", -0.5),
        ("seed", "28,0", 28),
        ("megapixels", "1,0", "1"),
        ("megapixels", "0,25", "0.25"),
        ("megapixels", "Match_Input", "match_input"),
        ("output_format", "PNG", "png"),
        ("output_format", " jpeg", "jpg"),
        ("output_format", "JPEG", "jpg"),
        ("disable_safety_checker", "TRUE", True),
        ("disable_safety_checker", "WAHR", True),
        ("disable_safety_checker", "Falsch", False),
        ("disable_safety_checker", "no", False),
        ("disable_safety_checker", "0", False),
        ("image", "  a b.png ", "a b.png"),
        ("prompt", " two\nlines 🚀 ", " two\nlines 🚀 "),
        ("prompt", "012", "012"),
    ],
)
def test_a_cell_becomes_the_value_that_the_service_expects(
    dev: Model, name: str, text: str, value: Input
) -> None:
    typed = dev.type_cell(name, text)

    assert (typed, type(typed)) == (value, type(value))


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("guidance", "1000", "guidance must be between 0 and 100, not 1000"),
        (
            "guidance",
            "1,000",
            "guidance must be a number with a point (1.000) or without a comma, not '1,000'",
        ),
        ("guidance", "1.000,5", "guidance must be a number, not '1.000,5'"),
        ("seed", "1,000", "seed must be a whole number, not '1,000'"),
        ("seed", "7,5", "seed must be a whole number, not '7,5'"),
        ("guidance", "nan", "guidance must be a number, not 'nan'"),
        ("guidance", "1e999", "guidance must be a number, not '1e999'"),
        ("guidance", "inf", "guidance must be a number, not 'inf'"),
        ("guidance", "1_0", "guidance must be a number, not '1_0'"),
        ("guidance", "٣", "guidance must be a number, not '٣'"),
        ("num_outputs", "5", "num_outputs must be between 1 and 4, not 5"),
        ("num_outputs", "2.5", "num_outputs must be a whole number, not '2.5'"),
        ("seed", "1e3", "seed must be a whole number, not '1e3'"),
        ("seed", "x\n", "seed must be a whole number, not 'x'"),
        ("output_format", "jepg", "output_format must be webp, jpg or png, not 'jepg'; did you mean jpg?"),
        ("megapixels", "4", "megapixels must be 1, 0.25 or match_input, not '4'"),
        ("disable_safety_checker", "maybe", "disable_safety_checker must be true or false, not 'maybe'"),
        ("guidence", "30", "unknown input guidence; did you mean guidance?"),
        ("Prompt", "x", "unknown input Prompt; did you mean prompt?"),
    ],
)
def test_a_wrong_cell_is_told_what_was_expected(dev: Model, name: str, text: str, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        dev.type_cell(name, text)


def test_a_message_repeats_no_more_than_a_little_of_a_long_cell(dev: Model) -> None:
    with pytest.raises(ValueError, match="whole number") as caught:
        dev.type_cell("seed", "9" * 100_000)

    assert len(str(caught.value)) < 150


@pytest.mark.parametrize(
    ("low", "high", "expected"), [(5, None, "at least 5"), (None, 3, "at most 3"), (5, 6, "between 5 and 6")]
)
def test_a_range_may_be_open_at_one_side(low: int | None, high: int | None, expected: str) -> None:
    field = Field(name="steps", type=FieldType.INTEGER, minimum=low, maximum=high)

    with pytest.raises(ValueError, match=f"steps must be {expected}, not 4"):
        field.read("4")


def test_choices_may_be_numbers() -> None:
    field = Field(name="width", type=FieldType.INTEGER, choices=(512, 1024))

    assert field.read("512.0") == 512


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_number_survives_being_written_as_a_cell(value: float) -> None:
    read = FREE_NUMBER.read(repr(value))

    assert read == value
    assert isinstance(read, int) or not value.is_integer() or abs(value) >= 2**53


@given(st.integers(-(10**18) + 1, 10**18 - 1))
def test_a_whole_number_is_the_same_json_however_it_is_written(value: int) -> None:
    written = {
        json.dumps(INTEGER.read(text)) for text in (str(value), f" {value} ", f"{value}.0", f"{value:+}")
    }

    assert written == {str(value)}


@given(st.text())
def test_a_numeric_cell_gives_a_finite_number_in_range_or_a_message(text: str) -> None:
    try:
        value = NUMBER.read(text)
    except ValueError as error:
        assert str(error).startswith("guidance must be ")  # noqa: PT017 - most texts raise, some do not
    else:
        assert isinstance(value, int | float)
        assert math.isfinite(value)
        assert 0 <= value <= 100


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("28", 28),
        ("-3", -3),
        ("0", 0),
        ("3.50", 3.5),
        ("30.0", 30),
        ("true", True),
        ("false", False),
        ("012", "012"),
        ("yes", "yes"),
        ("True", "True"),
        ("1e3", "1e3"),
        (" 28", " 28"),
        ("+1", "+1"),
        ("NaN", "NaN"),
        ("9" * 19, "9" * 19),
    ],
)
def test_an_undescribed_input_is_guessed_as_json_would_write_it(text: str, value: Input) -> None:
    guessed = guess_value(text)

    assert (guessed, type(guessed)) == (value, type(value))
