"""Rows in JSON: one object a line, or a list of objects; their values numbers, text, booleans or null."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from batchfill.errors import first_few
from batchfill.manifest.formats.json_shapes import EXAMPLE, refuse_settings
from batchfill.manifest.record import RECORD_LIMIT, Broken, Note, Record, Trouble

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import TextIO

    from batchfill.manifest.text import Lines

_PIECE = 65_536
_NESTED = "values inside values inside values"
_BLANK = " \t\r\n\ufeff"


def is_spread(first: str) -> bool:
    """Whether the *first* line that is not blank begins a list, or an object that takes several lines."""
    first = first.strip(_BLANK)
    return first.startswith("[") or (first.startswith("{") and first.endswith(("{", "[", ",", ":")))


def read_jsonl(lines: Lines) -> Iterator[Record | Trouble]:
    """Yield the rows of a JSONL file. Raises Broken."""
    lines.begin()
    for line in lines:
        if line.strip():
            yield _read_line(line, lines.number)
        lines.begin()


def read_json(text: TextIO) -> Iterator[Record | Trouble]:
    """Yield the rows of a JSON list, or of objects one after the other, however they are laid out.

    Raises Broken at the first place that is no JSON: nothing tells where the next row would begin.
    """
    values = _Values(text)
    yield from _read_list(values, listed=values.skip("["))
    if values.first():
        raise Broken(values.line, "a manifest is one list, and this is behind its end")


def read_wrapped_json(text: TextIO) -> Iterator[Record | Trouble | Note]:
    """Yield the rows of the one list of objects that a JSON object holds, and what else it holds in a note.

    Raises Broken at the first place that is no JSON, and at a second such list.
    """
    values, rows_name, left_out = _Values(text), "", []
    values.skip("{")
    while values.first() not in ("", "}"):
        line, name = values.line, values.read()
        if not values.skip(":"):
            raise Broken(line, "not JSON: a name without a value")
        listed = values.skip("[")
        if not listed or values.first() != "{":
            _pass_over(values, listed=listed)
            left_out.append(str(name))
        elif rows_name:
            raise Broken(line, f"has two lists of rows, {rows_name} and {name}: leave one of them")
        else:
            rows_name = str(name)
            yield from _read_list(values, listed=True)
        values.skip(",")
    if not values.skip("}"):
        raise Broken(values.line, "the object is not closed with }: the file may be cut short")
    refuse_settings(left_out)
    also = f"; what else it holds is left out: {first_few(left_out)}" if left_out else ""
    yield Note(f"the rows are those of its list {rows_name}{also}")


def _read_list(values: _Values, *, listed: bool) -> Iterator[Record | Trouble]:
    """Yield the rows up to the end of the list, or of the text where they are not *listed*. Raises Broken."""
    while values.first() not in ("", "]"):
        line = values.line
        yield _make_row(values.read(), line)
        values.skip(",")
    if listed and not values.skip("]"):
        raise Broken(values.line, "the list is not closed with ]: the file may be cut short")


def _pass_over(values: _Values, *, listed: bool) -> None:
    """Go on behind one value, or behind all of the list that has begun. Raises Broken."""
    if not listed:
        values.read()
        return
    while values.first() not in ("", "]"):
        values.read()
        values.skip(",")
    values.skip("]")


class _Values:
    """The values of a JSON text one after the other, of which no more than a row is held."""

    def __init__(self, text: TextIO) -> None:
        self._text = text
        self._held = ""
        self._at = 0
        self._line = 1

    @property
    def line(self) -> int:
        """Where the next value begins."""
        self._drop()
        return self._line

    def first(self) -> str:
        """Return the first character that is not blank; none at the end."""
        while True:
            left = len(self._held) - len(self._held[self._at :].lstrip(_BLANK))
            self._at = left
            if left < len(self._held):
                return self._held[left]
            if not self._read_more(_PIECE):
                return ""

    def skip(self, character: str) -> bool:
        """Go on behind *character*, when it is the next one; return whether it was."""
        found = self.first() == character
        self._at += found
        return found

    def read(self) -> Any:
        """Return the next value, objects as tuples of pairs. Raises Broken."""
        size = _PIECE
        while True:
            try:
                value, self._at = _DECODER.raw_decode(self._held, self._at)
            except RecursionError:
                raise Broken(self.line, _NESTED) from None
            except json.JSONDecodeError as error:
                size = self._go_on(size, error)
            else:
                return value

    def _go_on(self, size: int, error: json.JSONDecodeError) -> int:
        """Read on where the value may go on, and return how much to read next. Raises Broken."""
        self._drop()
        if len(self._held) >= RECORD_LIMIT:
            raise Broken(self._line, f"a row of more than {RECORD_LIMIT:,} characters, or no JSON") from None
        if not self._read_more(size):
            line = self._line + error.doc.count("\n", len(error.doc) - len(self._held), error.pos)
            raise Broken(line, f"not JSON: {error.msg}") from None
        # Twice as much each time: a long row is not tried once a piece.
        return 2 * size

    def _read_more(self, size: int) -> bool:
        self._drop()
        piece = self._text.read(size)
        self._held += piece
        return bool(piece)

    def _drop(self) -> None:
        self._line += self._held.count("\n", 0, self._at)
        self._held = self._held[self._at :]
        self._at = 0


def _read_line(line: str, number: int) -> Record | Trouble:
    try:
        # The decoder gives objects as tuples of pairs: a dictionary would lose a key given twice.
        value = _DECODER.decode(line.strip())
    except json.JSONDecodeError as error:
        return Trouble(number, f"not a JSON object: {error.msg} at character {error.colno}")
    except RecursionError:
        return Trouble(number, _NESTED)
    return _make_row(value, number, "line")


def _make_row(value: Any, number: int, unit: str = "row") -> Record | Trouble:
    if not isinstance(value, tuple):
        return Trouble(number, f"one object a {unit} is expected, such as {EXAMPLE}")
    return _make_record(value, number)


def _make_record(pairs: Iterable[tuple[str, Any]], number: int) -> Record | Trouble:
    cells: dict[str, str] = {}
    for name, value in pairs:
        if isinstance(value, _Constant):
            return Trouble(number, f"{value.word} is no JSON number")
        cell = _to_cell(value)
        if cell is None:
            return Trouble(number, f"{name} must be text, a number, true, false or null")
        if name in cells:
            return Trouble(number, f"{name} is given twice")
        cells[name] = cell
    return Record(number, tuple(cells), list(cells.values()))


def _to_cell(value: Any) -> str | None:
    """Return *value* as a CSV would have it, so that 30 and "30" agree; None when it holds values."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else None


class _Constant(NamedTuple):
    """NaN or an infinity, which is no JSON."""

    word: str


_DECODER = json.JSONDecoder(object_pairs_hook=tuple, parse_int=str, parse_float=str, parse_constant=_Constant)
"""Numbers stay as they were written: the model's schema says what they are."""
