"""The rows of a YAML manifest, as a stream; its head is read elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

import yaml

from batchfill.manifest.records import Record, Trouble
from batchfill.manifest.yaml_events import Events, objection, text_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TextIO


def read_yaml(text: TextIO) -> Iterator[Record | Trouble]:
    """Yield the rows below `rows:`, or of a top-level list. Raises Broken."""
    events = Events(text)
    first = events.open()
    if isinstance(first, yaml.SequenceStartEvent):
        yield from _rows(events)
    elif isinstance(first, yaml.MappingStartEvent):
        yield from _rows_below_head(events)
    if first is not None:
        events.close()


def _rows_below_head(events: Events) -> Iterator[Record | Trouble]:
    begun = False
    for name, line, value in events.pairs():
        events.begin()
        if begun:
            yield Trouble(line, f"{name} comes after rows: move it above them")
        if name == "rows" and not begun and isinstance(value, yaml.SequenceStartEvent):
            begun = True
            yield from _rows(events)
        else:
            events.skip(value)


def _rows(events: Events) -> Iterator[Record | Trouble]:
    while not isinstance(event := events.next(), yaml.SequenceEndEvent):
        events.begin()
        line = events.line
        problem = objection(event)
        if not problem and not isinstance(event, yaml.MappingStartEvent):
            problem = (
                "not a row: expected names and values, such as {image: a.png, mask: b.png, prompt: a boat}"
            )
        if problem:
            events.skip(event)
            yield Trouble(line, problem)
        else:
            yield from _row(events, line)


def _row(events: Events, line: int) -> Iterator[Record | Trouble]:
    cells: dict[str, str] = {}
    sound = True
    for name, at, value in events.pairs():
        events.skip(value)
        problem = f"{name} is given twice" if name in cells else objection(value)
        if name is None or problem or not isinstance(value, yaml.ScalarEvent):
            sound = False
            yield Trouble(at, problem or _misshapen(name))
        else:
            cells[name] = text_of(value)
    if sound:
        yield Record(line, tuple(cells), list(cells.values()))


def _misshapen(name: str | None) -> str:
    return "a name must be a plain word" if name is None else f"{name} must be a single value"
