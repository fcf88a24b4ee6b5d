"""One line a row, as CSV or JSONL, written as a stream."""

from __future__ import annotations

import csv
import json
import time
from contextlib import suppress
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Protocol

from batchfill.domain.money import MILLION, currency_units
from batchfill.domain.progress import Level, LogEvent
from batchfill.filenames import as_cell
from batchfill.ledger.location import LEDGER
from batchfill.ledger.reader import open_reader
from batchfill.systems import here

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from batchfill.domain.progress import ProgressListener
    from batchfill.domain.reports import Result
    from batchfill.ledger.reader import Reader

RESULTS = "results.csv"
"""Its name in the batch folder."""

COLUMNS = (
    "id",
    "line",
    "state",
    "image",
    "mask",
    "prompt",
    "outputs",
    "seed",
    "prediction_id",
    "attempts",
    "cost",
    "error",
    "flags",
    "decision",
    "chosen",
    "finished_as",
    "changed_inputs",
)
LATER = ("finished_as", "changed_inputs")
"""Columns that tables of earlier versions are without, in the order in which they came."""
_OF_SERVICE = frozenset({"prediction_id", "error"})
_BOM = "\ufeff"


class Stream(Protocol):
    """What a table can be written to."""

    def write(self, text: str, /) -> object:
        """Write *text*."""


def write_csv(
    results: Iterable[Result],
    stream: Stream,
    *,
    extra: Sequence[str] = (),
    bom: bool = False,
    raw: bool = False,
) -> bool:
    """Write a header and a line a row; *extra* names the columns that are only carried along.

    Lines end with `\\r\\n`, so the stream must not translate line ends (`newline=""`). *bom*: begin with the
    mark without which Excel takes UTF-8 for an old code page. *raw*: cells as they are, formulas or not.
    Return whether a cell was kept from being a formula.
    """
    if bom:
        stream.write(_BOM)
    writer, marked = csv.writer(stream), False
    names = [*COLUMNS, *extra_column_names(extra)]
    writer.writerow(names if raw else map(as_cell, names))
    for result in results:
        given = result_cells(result, extra)
        cells = given if raw else [_inert_text(*cell) for cell in zip(names, given, strict=True)]
        marked = marked or cells != given
        writer.writerow(cells)
    return marked


def column_names(extra: Sequence[str]) -> list[str]:
    """Return the names of the columns as they are written."""
    return [as_cell(name) for name in (*COLUMNS, *extra_column_names(extra))]


def extra_column_names(extra: Sequence[str]) -> list[str]:
    """Return the names of columns that are only carried along, none of which is one of COLUMNS."""
    return [_column_name(name) for name in extra]


def write_jsonl(results: Iterable[Result], stream: Stream) -> None:
    """Write one JSON object a line, in UTF-8's own letters."""
    for result in results:
        stream.write(json.dumps(result_object(result), ensure_ascii=False) + "\n")


def result_cells(result: Result, extra: Sequence[str] = ()) -> list[str]:
    """Return the cells of COLUMNS and *extra*; outputs joined by `;`, cost in units of the currency."""
    return [
        result.id,
        _as_text(result.line),
        result.state.value,
        result.image,
        result.mask,
        result.prompt,
        ";".join(result.outputs),
        _as_text(result.seed),
        result.prediction_id or "",
        str(result.attempts),
        "" if result.cost is None else _in_units(result.cost),
        result.error or "",
        ";".join(result.flags),
        "" if result.decision is None else result.decision.value,
        _as_text(result.chosen),
        ";".join(result.finished_as),
        json.dumps(dict(result.changed_inputs), ensure_ascii=False) if result.changed_inputs else "",
        *(result.extra.get(name, "") for name in extra),
    ]


def result_object(result: Result) -> dict[str, Any]:
    """Return the row as JSON: COLUMNS, then its own extra columns; outputs are a list, unknown is null."""
    return {
        "id": result.id,
        "line": result.line,
        "state": result.state.value,
        "image": result.image,
        "mask": result.mask,
        "prompt": result.prompt,
        "outputs": list(result.outputs),
        "seed": result.seed,
        "prediction_id": result.prediction_id,
        "attempts": result.attempts,
        "cost": currency_units(result.cost),
        "error": result.error,
        "flags": list(result.flags),
        "decision": None if result.decision is None else result.decision.value,
        "chosen": result.chosen,
        "finished_as": list(result.finished_as),
        "changed_inputs": dict(result.changed_inputs),
        **{_column_name(name): value for name, value in result.extra.items()},
    }


@lru_cache(maxsize=1024)
def _in_units(cost: int) -> str:
    return f"{Decimal(cost) / MILLION:f}"


def _column_name(name: str) -> str:
    # A manifest that keeps unknown columns may be the results of an earlier batch.
    return f"x_{name}" if name in COLUMNS else name


def _as_text(number: int | None) -> str:
    return "" if number is None else str(number)


def _inert_text(name: str, text: str) -> str:
    # What the service wrote is text, whatever it looks like.
    return as_cell(text, numbers=name not in _OF_SERVICE)


def write_table(reader: Reader, stream: Stream, *, kind: str, bom: bool, raw: bool) -> bool:
    """Write the results of a batch as `csv` or `jsonl`; return what `write_csv` does."""
    if kind == "jsonl":
        write_jsonl(reader.results(), stream)
        return False
    return write_csv(reader.results(), stream, extra=reader.extra_columns(), bom=bom, raw=raw)


def keep_table(folder: Path) -> str | None:
    """Write `results.csv` next to the outputs, whole or not at all; return why it could not be written."""
    unfinished = folder / f"{RESULTS}.tmp"
    try:
        with (
            open_reader(folder / LEDGER) as reader,
            unfinished.open("w", encoding="utf-8", newline="") as stream,
        ):
            write_table(reader, stream, kind="csv", bom=True, raw=False)
        here().replace_file(unfinished, folder / RESULTS)
    except OSError as error:
        with suppress(OSError):
            unfinished.unlink(missing_ok=True)
        return f"{RESULTS} could not be written: {error.strerror}. `batchfill results` prints it"
    return None


def keep_results(folder: Path, watch: ProgressListener | None) -> None:
    """Write `results.csv` next to the outputs; tell *watch* when it cannot be written."""
    trouble = keep_table(folder)
    if trouble is not None and watch is not None:
        watch.notice(LogEvent(time.time(), trouble, Level.WARNING))
