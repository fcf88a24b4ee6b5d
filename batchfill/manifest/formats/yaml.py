"""Rows of a YAML manifest, as a stream of events; its head is read elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

import yaml

from batchfill.manifest.record import Broken, Record, Trouble
from batchfill.manifest.text import Chunks

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TextIO


_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
DEEPEST = 1000
"""Values inside values: the parser takes time by the square of them."""

TOO_DEEP = "values inside values inside values"

_NO_TABS = "indent with spaces, never with tabs, and put quotes round text with special characters"
_ADVICE = (
    ("mapping values", 'a text that holds ": " or ends with : needs quotes, such as prompt: "a cat: asleep"'),
    ("not allowed", "a text that begins with - or ? needs quotes"),
    ("expected key", "text goes on behind a quote or a bracket: put double quotes round all of it"),
    ("block end", "text goes on behind a quote or a bracket: put double quotes round all of it"),
    ("expected ','", "between { } or [ ], a text that holds one of : , { } [ ] needs double quotes"),
    ("expected ':'", "a text of several lines needs quotes round all of it"),
    ("end of stream", "a quote opens here or above and is never closed"),
    ("hexdecimal", "in double quotes \\ is special: write \\\\, or take single quotes"),
    ("escape", "in double quotes \\ is special: write \\\\, or take single quotes"),
    ("alphabetic", "a text that begins with * or & needs quotes"),
    ("comment or", "a text that begins with > or | needs quotes"),
    ("tab", _NO_TABS),
    ("cannot start any token", _NO_TABS),
)
"""What a parser complains of, and what people do about it; the first one counts."""

_EMPTY = frozenset({"", "~", "null", "Null", "NULL"})


class Events:
    """The events of one YAML document."""

    def __init__(self, text: TextIO) -> None:
        self._chunks = Chunks(text)
        self._events: Iterator[yaml.Event] = yaml.parse(self._chunks, Loader=_LOADER)
        self._deep = 0
        self.line = 1
        """Where the event read last begins."""

    def begin(self) -> None:
        """A new row or setting begins; its length is bounded."""
        self._chunks.begin()

    def next(self) -> yaml.Event:
        """Return the next event. Raises Broken when there is no more YAML."""
        try:
            event = next(self._events)
        except yaml.MarkedYAMLError as error:
            raise Broken(*_explain_error(error)) from None
        except yaml.YAMLError as error:
            raise Broken(0, f"not YAML: {error}") from None
        self.line = event.start_mark.line + 1 if event.start_mark else 0
        self._deep += _depth_change(event)
        if self._deep > DEEPEST:
            raise Broken(self.line, TOO_DEEP)
        return event

    def open(self) -> yaml.Event | None:
        """Return the first event of the document; None for an empty file."""
        self.next()
        if isinstance(self.next(), yaml.StreamEndEvent):
            return None
        return self.next()

    def close(self) -> None:
        """Read the end of the document. Raises Broken when another one follows."""
        self.next()
        if not isinstance(self.next(), yaml.StreamEndEvent):
            raise Broken(self.line, "a second document (---): a manifest is one")

    def skip(self, event: yaml.Event) -> None:
        """Read on to the end of the value that *event* begins."""
        depth = _depth_change(event)
        while depth:
            depth += _depth_change(self.next())

    def pairs(self) -> Iterator[tuple[str | None, int, yaml.Event]]:
        """Yield key, line and the event that begins the value, of the mapping just begun, to its end.

        A key is None when it is no plain word. Who gets a pair reads its value to the end.
        """
        while not isinstance(key := self.next(), yaml.MappingEndEvent):
            line = self.line
            self.skip(key)
            name = (
                key.value.strip() if isinstance(key, yaml.ScalarEvent) and not find_objection(key) else None
            )
            yield name, line, self.next()


def find_objection(event: yaml.Event) -> str | None:
    """Return why the value that *event* begins is refused, whatever it is for; None when it is not."""
    if isinstance(event, yaml.AliasEvent):
        return f"the alias *{event.anchor} is not allowed: write the value out"
    if isinstance(event, yaml.NodeEvent) and event.anchor:
        return f"the anchor &{event.anchor} is not allowed"
    if isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent) and event.tag:
        return f"the tag {event.tag.replace('tag:yaml.org,2002:', '!!')} is not allowed"
    return None


def text_of(event: yaml.ScalarEvent) -> str:
    """Return a scalar as text, whatever YAML would make of it; empty for an empty one, `null` and `~`."""
    plain = event.implicit[0]
    return "" if plain and event.value in _EMPTY else str(event.value)


def _depth_change(event: yaml.Event) -> int:
    if isinstance(event, yaml.CollectionStartEvent):
        return 1
    return -1 if isinstance(event, yaml.CollectionEndEvent) else 0


def _explain_error(error: yaml.MarkedYAMLError) -> tuple[int, str]:
    mark = error.problem_mark or error.context_mark
    line = mark.line + 1 if mark else 0
    problem = error.problem or "it cannot be understood"
    if "nesting depth" in problem:
        # libyaml has a bound of its own since 0.2.6, and may meet it before the first event.
        return line, TOO_DEEP
    advice = next((f"; {todo}" for part, todo in _ADVICE if part in problem), "")
    return line, f"not YAML: {problem}{advice}"


def read_yaml(text: TextIO) -> Iterator[Record | Trouble]:
    """Yield the rows below `rows:`, or of a top-level list. Raises Broken."""
    events = Events(text)
    first = events.open()
    if isinstance(first, yaml.SequenceStartEvent):
        yield from _read_rows(events)
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
            yield from _read_rows(events)
        else:
            events.skip(value)


def _read_rows(events: Events) -> Iterator[Record | Trouble]:
    while not isinstance(event := events.next(), yaml.SequenceEndEvent):
        events.begin()
        line = events.line
        problem = find_objection(event)
        if not problem and not isinstance(event, yaml.MappingStartEvent):
            problem = (
                "not a row: expected names and values, such as {image: a.png, mask: b.png, prompt: a boat}"
            )
        if problem:
            events.skip(event)
            yield Trouble(line, problem)
        else:
            yield from _read_row(events, line)


def _read_row(events: Events, line: int) -> Iterator[Record | Trouble]:
    cells: dict[str, str] = {}
    sound = True
    for name, at, value in events.pairs():
        events.skip(value)
        problem = f"{name} is given twice" if name in cells else find_objection(value)
        if name is None or problem or not isinstance(value, yaml.ScalarEvent):
            sound = False
            yield Trouble(at, problem or _misshapen_row(name))
        else:
            cells[name] = text_of(value)
    if sound:
        yield Record(line, tuple(cells), list(cells.values()))


def _misshapen_row(name: str | None) -> str:
    return (
        "a name must be a plain word"
        if name is None
        else f"{name} must be a single value: a text that begins with {{ or [ needs quotes"
    )
