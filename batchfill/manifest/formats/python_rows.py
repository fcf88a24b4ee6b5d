"""Rows of a Python program, dictionaries or a table of another library, become a JSONL manifest."""

from __future__ import annotations

import filecmp
import json
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import date
from decimal import Decimal
from math import isfinite
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

from batchfill.errors import ManifestError, Mistake, UsageError, first_few, quote_shortened
from batchfill.systems import here

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import TextIO

SUFFIX = ".jsonl"
_OTHERS = (".csv", ".tsv", ".tab", ".ndjson", ".json", ".yaml", ".yml", ".xlsx", ".xlsm", ".gz")
"""How other manifests end. One of the same name would have the same batch folder."""

_TABLES = (("to_dicts", ()), ("to_pylist", ()), ("to_dict", ("records",)))
"""What gives the rows of a table as dictionaries: in Polars, in Arrow, in pandas and its like."""

_EXPECTED = "rows must be dictionaries, such as {'image': 'a.png', 'mask': 'b.png'}, or a DataFrame"
_EXACT = 2.0**53
"""Up to here a whole number survives being a float."""

_MOST_TOLD = 100


class _Unfit(ValueError):
    """A row, or a value of one, that no manifest can hold."""


def write_rows(path: Path, rows: Any, *, replace: bool = False) -> Path:
    """Write *rows* to the manifest *path*, to which `.jsonl` is added, and return where it is.

    *rows*: dictionaries, or a DataFrame of pandas, Polars or Arrow. A manifest with the same rows is left as
    it is; one with others is replaced only with *replace*. Raises UsageError for that, and where nothing can
    be written; ManifestError for rows that no manifest can hold, which it names.
    """
    target = _name_manifest(path)
    unfinished = target.with_name(f".{target.name}.{uuid4().hex}.tmp")
    try:
        with unfinished.open("x", encoding="utf-8", newline="\n") as file:
            _write_lines(file, _list_records(rows), target)
            file.flush()
            os.fsync(file.fileno())
        _take_name(unfinished, target, replace=replace)
    except OSError as error:
        raise UsageError(f"{target}: cannot be written: {error.strerror}") from error
    finally:
        with suppress(OSError):
            unfinished.unlink(missing_ok=True)
    return target


def _name_manifest(path: Path) -> Path:
    if not path.name:
        raise UsageError("the manifest needs a name, such as night.jsonl")
    if path.suffix.lower() in _OTHERS:
        raise UsageError(f"{path.name}: rows of a program are kept as JSONL: name it {path.stem}{SUFFIX}")
    target = path if path.suffix.lower() == SUFFIX else path.with_name(path.name + SUFFIX)
    for other in (target.with_suffix(suffix) for suffix in _OTHERS):
        if other.exists():
            raise UsageError(
                f"{other} is there already, and {target.name} would have its batch folder: take another name"
            )
    return target


def _take_name(unfinished: Path, target: Path, *, replace: bool) -> None:
    if target.is_file() and not replace:
        if filecmp.cmp(unfinished, target, shallow=False):
            return
        raise UsageError(
            f"{target} is there already, with other rows: Batch.open goes on with those, "
            "replace=True puts these in their place"
        )
    here().replace_file(unfinished, target)


def _list_records(rows: Any) -> Iterable[Any]:
    """Return the rows of a table, whichever library made it, or *rows*. Raises UsageError."""
    if isinstance(rows, Mapping | str | bytes):
        raise UsageError(f"{_EXPECTED}, not one {type(rows).__name__}")
    for name, arguments in _TABLES:
        if hasattr(rows, "columns") and hasattr(rows, name):
            table = _with_index(rows)
            records: Iterable[Any] = getattr(table, name)(*arguments)
            return records
    if not isinstance(rows, Iterable):
        raise UsageError(f"{_EXPECTED}, not {type(rows).__name__}")
    return rows


def _with_index(table: Any) -> Any:
    """Return *table* with a named index of pandas as a column. Raises UsageError for a name given twice."""
    names = [str(name) for name in getattr(getattr(table, "index", None), "names", ()) if name is not None]
    columns = [*names, *(str(name) for name in getattr(table, "column_names", table.columns))]
    if twice := sorted({name for name in columns if columns.count(name) > 1}):
        raise UsageError(f"the table has two columns {first_few(twice)}: rename one")
    return table.reset_index() if names else table


def _write_lines(file: TextIO, records: Iterable[Any], target: Path) -> None:
    """Write one line a row. Raises ManifestError with every row that cannot be written."""
    found: list[Mistake] = []
    more = number = 0
    for number, record in enumerate(records, 1):
        try:
            line = json.dumps(dict(_read_cells(record)), ensure_ascii=False, allow_nan=False)
            file.write(f"{line}\n")
        except _Unfit as error:
            mistake = Mistake(target, 0, f"row {number}{_id_of(record)}: {error}")
            found, more = ([*found, mistake], more) if len(found) < _MOST_TOLD else (found, more + 1)
    if not number:
        found = [Mistake(target, 0, "no rows were given")]
    if found:
        raise ManifestError(found, more=more)


def _id_of(record: Any) -> str:
    given = record.get("id") if isinstance(record, Mapping) else None
    return f" ({quote_shortened(given)})" if isinstance(given, str) and given else ""


def _read_cells(record: Any) -> Iterator[tuple[str, Any]]:
    """Yield the names and values of a row as JSON has them. Raises _Unfit."""
    if not isinstance(record, Mapping):
        raise _Unfit(f"a row must be a dictionary, not {type(record).__name__}")
    for name, value in record.items():
        if not isinstance(name, str):
            raise _Unfit(f"the name of a column must be text, not {name!r}")
        try:
            yield _as_utf8(name), _read_cell(value)
        except _Unfit as error:
            shown = name.encode(errors="backslashreplace").decode()
            raise _Unfit(f"{shown} {error}") from None


def _read_cell(value: Any) -> str | int | float | None:
    """Return *value* as JSON has it; None where it is missing. Raises _Unfit: `must be …, not …`."""
    match value:
        case None | bool() | int():
            return value
        case str() | os.PathLike():
            return _as_utf8(os.fspath(value))
        case Decimal() if value.is_nan():
            return None
        case float() | Decimal() if not isfinite(value) and value == value:
            raise _Unfit(f"must be a finite number, not {value}")
        case _ if _is_missing(value):
            return None
        case float():
            # In pandas a column of whole numbers with gaps is one of floats.
            return int(value) if value.is_integer() and abs(value) < _EXACT else value
        case Decimal():
            return str(value)
        case date():
            return value.isoformat()
        case UUID():
            return str(value)
        case _ if getattr(value, "shape", None) == () and hasattr(value, "item"):
            # A scalar of NumPy; of those that Python has no type for, it gives themselves.
            if type(plain := value.item()) is not type(value):
                return _read_cell(plain)
    raise _Unfit(f"must be text, a number, True, False or None, not {type(value).__name__}")


def _is_missing(value: Any) -> bool:
    """Whether *value* is what pandas has where nothing is: it is not even equal to itself."""
    try:
        return bool(value != value)
    except TypeError:
        # So says pandas.NA of itself.
        return type(value).__name__ == "NAType"
    except ValueError:
        # An array has no one answer.
        return False


def _as_utf8(text: str | bytes) -> str:
    try:
        return text.decode() if isinstance(text, bytes) else text.encode().decode()
    except UnicodeError:
        raise _Unfit("is not UTF-8") from None
