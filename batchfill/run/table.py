"""The table beside exported pictures: what an earlier one lists, and whether it may be replaced."""

from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING

from batchfill.names import from_cell
from batchfill.run.results import COLUMNS, header

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from batchfill.run.naming import Taken

NO_TABLE = "no table as an export writes it"


def table_trouble(table: Path, extra: Sequence[str], taken: Taken, *, force: bool) -> Iterator[str]:
    """Yield why *table* must not be replaced: it is no earlier table of this export.

    An earlier one has the same columns, *extra* ones too, and lists nothing but names that are *taken* now.
    *force*: any file may be replaced.
    """
    if table.is_dir():
        yield f"{table} is a folder: move it away"
    if force or not table.is_file():
        return
    listed = _listed_in_csv if table.suffix == ".csv" else _listed_in_jsonl
    try:
        stray = next((name for name in listed(table, extra) if name not in taken), None)
    except (OSError, ValueError, TypeError, IndexError, RecursionError, csv.Error):
        yield f"{table} is there and is no table of this batch: move it away, or --force replaces it"
        return
    if stray is not None:
        yield f"{table} lists {stray}, not exported now: move them away, or --force replaces {table.name}"


def _listed_in_csv(table: Path, extra: Sequence[str]) -> Iterator[str]:
    with table.open(encoding="utf-8-sig", newline="") as stream:
        lines = csv.reader(stream)
        if next(lines, None) != header(extra):
            raise ValueError(NO_TABLE)
        for cells in lines:
            yield from filter(None, from_cell(cells[COLUMNS.index("outputs")]).split(";"))


def _listed_in_jsonl(table: Path, _extra: Sequence[str]) -> Iterator[str]:
    with table.open(encoding="utf-8") as stream:
        for line in stream:
            value = json.loads(line)
            if not (isinstance(value, dict) and value.keys() >= set(COLUMNS)):
                raise ValueError(NO_TABLE)
            yield from value["outputs"]
