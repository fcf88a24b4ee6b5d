"""One input of a model, and how the text of a cell becomes its value."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from batchfill.errors import cut_short, did_you_mean, quote_shortened

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from batchfill.domain.rows import Input


_INTEGER = re.compile(r"[+-]?\d{1,18}(\.0*)?", re.ASCII)
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_COMMA = re.compile(r"[+-]?\d*,\d+", re.ASCII)
_GROUPED = re.compile(r"[+-]?[1-9]\d{0,2},\d{3}", re.ASCII)
_PLAIN_INTEGER = re.compile(r"0|-?[1-9]\d{0,17}", re.ASCII)
_PLAIN_NUMBER = re.compile(r"-?(0|[1-9]\d{0,17})\.\d{1,18}", re.ASCII)
_TRUTHS = {
    **dict.fromkeys(("true", "yes", "1", "wahr", "vrai", "vero", "verdadero", "verdadeiro", "waar"), True),
    **dict.fromkeys(("false", "no", "0", "falsch", "faux", "falso", "onwaar"), False),
}
"""Spreadsheets write these two in the language of their user."""

_OTHER_NAMES = {"jpeg": "jpg", "tif": "tiff"}
"""Words that mean a choice, where it is one."""


class UnfitValue(ValueError):
    """A cell that its input cannot take: `guidance must be between 0 and 100, not 1000`."""

    def __init__(self, expected: str, found: str, hint: str = "") -> None:
        """*expected* is the same for all such cells, whatever was *found* in them; *hint* is about that."""
        super().__init__(f"{expected}, not {found}{hint}")
        self.expected = expected
        self.found = found


class FieldType(StrEnum):
    """The JSON type that the service expects; a file is a string in JSON and an address in a cell."""

    STRING = "string"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    FILE = "file"


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One input of a model, as the service documents it."""

    name: str
    type: FieldType
    required: bool = False
    """By the service; see Model.required_inputs for what a row must give."""
    default: Input | None = None
    """What the service takes when nothing is given; never sent by us."""
    minimum: int | float | None = None
    """Inclusive, as the maximum."""
    maximum: int | float | None = None
    choices: tuple[Input, ...] = ()
    """All the values allowed; empty when anything of the type is."""
    description: str = ""

    @property
    def reader(self) -> Callable[[str], Input]:
        """What reads the cells of a column: as `read`, quicker where any text is taken as it is."""
        return str if self.type is FieldType.STRING and not self.choices else self.read

    def read(self, text: str) -> Input:
        """Return the value that *text* stands for.

        Whole numbers are int whatever they look like (`30`, `30.0`), so that they are the same JSON.
        Strings are kept to the letter; everything else may have spaces around it. Raises ValueError:
        `guidance must be between 0 and 100, not 1000`.
        """
        if self.choices:
            return self._read_choice(text)
        value = self._read_typed(text)
        if not isinstance(value, str) and not self._is_within(value):
            raise UnfitValue(f"{self.name} must be {self._range_text()}", cut_short(text.strip()))
        return value

    def _read_typed(self, text: str) -> Input:
        try:
            return _READERS[self.type](text)
        except ValueError as error:
            raise UnfitValue(f"{self.name} must be {error}", quote_shortened(text.strip())) from None

    def _is_within(self, value: float) -> bool:
        return (self.minimum is None or value >= self.minimum) and (
            self.maximum is None or value <= self.maximum
        )

    def _range_text(self) -> str:
        if self.minimum is None:
            return f"at most {self.maximum}"
        if self.maximum is None:
            return f"at least {self.minimum}"
        return f"between {self.minimum} and {self.maximum}"

    def _read_choice(self, text: str) -> Input:
        word = text.strip()
        matching = [choice for choice in self.choices if str(choice) == word]
        matching = matching or self._meant_choices(word)
        if len(matching) == 1:
            return matching[0]
        words = [str(choice) for choice in self.choices]
        hint = did_you_mean(word, words)
        raise UnfitValue(f"{self.name} must be {join_words(words)}", quote_shortened(word), hint)

    def _meant_choices(self, word: str) -> list[Input]:
        """Return the choices that *word* is another way to write of: 1.0, 0,25, PNG, jpeg."""
        lower = word.lower()
        meant = {lower, _OTHER_NAMES.get(lower, lower)}
        same = [choice for choice in self.choices if str(choice).lower() in meant]
        return same or [choice for choice in self.choices if _same_number(str(choice), word)]


def guess_value(text: str) -> Input:
    """Return the likeliest JSON value of *text* for an input without a description.

    Only what JSON itself would write is taken for a number or a boolean: `28`, `3.5`, `true`. So `012`,
    `yes`, `1e3` and ` 28` stay text.
    """
    if text in ("true", "false"):
        return text == "true"
    if _PLAIN_INTEGER.fullmatch(text):
        return int(text)
    return _without_fraction(float(text)) if _PLAIN_NUMBER.fullmatch(text) else text


def join_words(words: Iterable[str]) -> str:
    """Return `webp, jpg or png`."""
    *most, last = words
    return f"{', '.join(most)} or {last}" if most else last


def _read_integer(text: str) -> int:
    match = _INTEGER.fullmatch(_with_point(text.strip()))
    if not match:
        raise ValueError("a whole number")
    # Spreadsheets write 28.0; the zeros are cut off as text because a float has 53 bits only.
    return int(match[0].partition(".")[0])


def _read_number(text: str) -> int | float:
    text = _with_point(text.strip())
    if _GROUPED.fullmatch(text):
        raise ValueError(f"a number with a point ({text.replace(',', '.')}) or without a comma")
    value = float(text) if _NUMBER.fullmatch(text) else math.nan
    if not math.isfinite(value):
        raise ValueError("a number")
    return _without_fraction(value)


def _with_point(text: str) -> str:
    """Return a number with a decimal comma with a point: no cell that holds a comma was parted there.

    1,000 stays as it is: it may be a thousand.
    """
    return text.replace(",", ".") if _COMMA.fullmatch(text) and not _GROUPED.fullmatch(text) else text


def _without_fraction(value: float) -> int | float:
    return int(value) if value.is_integer() and abs(value) < 2**53 else value


def _read_boolean(text: str) -> bool:
    try:
        return _TRUTHS[text.strip().lower()]
    except KeyError:
        raise ValueError("true or false") from None


def _same_number(choice: str, word: str) -> bool:
    word = _with_point(word)
    return bool(_NUMBER.fullmatch(choice) and _NUMBER.fullmatch(word)) and float(choice) == float(word)


_READERS: Mapping[FieldType, Callable[[str], Input]] = {
    FieldType.STRING: str,
    FieldType.INTEGER: _read_integer,
    FieldType.NUMBER: _read_number,
    FieldType.BOOLEAN: _read_boolean,
    FieldType.FILE: str.strip,
}
