"""The rows of a JSONL file: one object a line, its values numbers, text, booleans or null."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NoReturn

from batchfill.manifest.record import Record, Trouble

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from batchfill.manifest.text import Lines


def read_jsonl(lines: Lines) -> Iterator[Record | Trouble]:
    """Yield the rows of a JSONL file. Raises Broken."""
    lines.begin()
    for line in lines:
        if line.strip():
            yield _read_line(line, lines.number)
        lines.begin()


def _read_line(line: str, number: int) -> Record | Trouble:
    try:
        # The decoder gives objects as tuples of pairs: a dictionary would lose a key given twice.
        value = _DECODER.decode(line.strip())
    except json.JSONDecodeError as error:
        return Trouble(number, f"not a JSON object: {error.msg} at character {error.colno}")
    except ValueError as error:
        return Trouble(number, str(error))
    except RecursionError:
        return Trouble(number, "values inside values inside values")
    if not isinstance(value, tuple):
        return Trouble(number, 'one object a line is expected, such as {"image": "a.png", "mask": "b.png"}')
    return _make_record(value, number)


def _make_record(pairs: Iterable[tuple[str, Any]], number: int) -> Record | Trouble:
    cells: dict[str, str] = {}
    for name, value in pairs:
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


def _refuse_constant(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON number")


_DECODER = json.JSONDecoder(
    object_pairs_hook=tuple, parse_int=str, parse_float=str, parse_constant=_refuse_constant
)
"""Numbers stay as they were written: the model's schema says what they are."""
