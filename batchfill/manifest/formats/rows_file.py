"""The rows of a manifest's file as text, whatever kind of file it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from batchfill.manifest.formats.csv import read_csv
from batchfill.manifest.formats.jsonl import read_json, read_jsonl, read_wrapped_json
from batchfill.manifest.formats.workbook import read_workbook
from batchfill.manifest.record import Broken
from batchfill.manifest.text import Lines, open_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path
    from typing import TextIO

    from batchfill.manifest.record import Header, Note, Record, Trouble

    Item = Header | Record | Trouble | Note | Broken


def read_items(
    file: Path, kind: str, *, encoding: str | None, sheet: str | None, literal_quotes: bool
) -> Iterator[Item]:
    """Yield header and rows of *file*, and what is wrong with them; the last one may be a Broken.

    *kind*: `csv`, `jsonl`, `json`, `wrapped json`, `yaml` or `workbook`, of which *sheet* is read, or the
    first.
    *literal_quotes*: quotes behind a space in a CSV belong to the text of their cell.
    """
    try:
        if kind == "workbook":
            yield from read_workbook(file, sheet)
            return
        with open_text(file, encoding) as text:
            yield from _READERS[kind](text, literal_quotes)
    except Broken as broken:
        yield broken


_READERS: Mapping[str, Callable[[TextIO, bool], Iterator[Item]]] = {
    "csv": lambda text, literal_quotes: read_csv(Lines(text), literal_quotes=literal_quotes),
    "jsonl": lambda text, _: read_jsonl(Lines(text)),
    "json": lambda text, _: read_json(text),
    "wrapped json": lambda text, _: read_wrapped_json(text),
    "yaml": lambda text, _: _read_yaml(text),
}


def _read_yaml(text: TextIO) -> Iterator[Item]:
    # The library takes a fiftieth of a second to load, and few manifests are YAML.
    from batchfill.manifest.formats.yaml import read_yaml

    return read_yaml(text)
