"""The head of a YAML manifest: its settings, its defaults, and where its rows are."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import yaml

from batchfill.catalog.pixel_options import PIXEL_READERS
from batchfill.errors import cut_short, did_you_mean_or_known
from batchfill.manifest.formats.yaml import Events, find_objection, text_of
from batchfill.manifest.record import EMPTY, Broken, Trouble
from batchfill.settings.definitions import BY_NAME, IN_MANIFEST
from batchfill.settings.value_types import Text, Words

if TYPE_CHECKING:
    from typing import TextIO

_MAPPINGS = ("defaults", "column")
_KEPT_OUT = BY_NAME.keys() - IN_MANIFEST.keys() - {"set"} | {"base", "token"}
"""Names that exist, but that a manifest must not hold: it may come from other people."""


@dataclass(slots=True)
class Head:
    """What stands above the rows, collected while it is read."""

    settings: dict[str, Any] = field(default_factory=dict)
    defaults: dict[str, str] = field(default_factory=dict)
    column: dict[str, str] = field(default_factory=dict)
    rows: str | None = None
    """The file that holds the rows; None when they follow here."""
    lines: dict[str, int] = field(default_factory=dict)
    """Where each thing stands: `price`, `defaults.guidance`."""
    troubles: list[Trouble] = field(default_factory=list)

    def note_mistake(self, line: int, message: str) -> None:
        """Something is wrong in *line*."""
        self.troubles.append(Trouble(line, message))


def read_head(text: TextIO) -> Head:
    """Return the head of the YAML in *text*, which is read no further than `rows:`. Raises Broken."""
    events = Events(text)
    first = events.open()
    if first is None or (
        isinstance(first, yaml.ScalarEvent) and not text_of(first) and not find_objection(first)
    ):
        raise Broken(0, EMPTY)
    head = Head()
    if isinstance(first, yaml.SequenceStartEvent):
        return head
    if refused := find_objection(first):
        raise Broken(events.line, refused)
    if not isinstance(first, yaml.MappingStartEvent):
        raise Broken(events.line, "one text instead of rows: (a CSV should be named .csv)")
    if not _read_pairs(events, head):
        head.note_mistake(0, "no rows: add `rows:` and a list below it, or `rows: night.csv`")
    return head


def _read_pairs(events: Events, head: Head) -> bool:
    """Read into *head*, up to the rows if they follow here; return whether there were any."""
    for name, line, value in events.pairs():
        events.begin()
        problem = _find_problem(name, head, value)
        if name == "rows" and isinstance(value, yaml.SequenceStartEvent) and not problem:
            return True
        if problem or name is None:
            head.note_mistake(line, problem or "a name must be a plain word")
            events.skip(value)
        else:
            head.lines[name] = line
            _read_pair(name, value, events, head)
    return "rows" in head.lines


def _find_problem(name: str | None, head: Head, value: yaml.Event) -> str | None:
    if name in head.lines:
        return f"{name} is given twice"
    refused = find_objection(value)
    return f"{name}: {refused}" if refused else None


def _read_pair(name: str, value: yaml.Event, events: Events, head: Head) -> None:
    if name in _MAPPINGS and isinstance(value, yaml.MappingStartEvent):
        _read_mapping(name, events, head)
        return
    line = events.line
    is_list = _is_of_words(name) and isinstance(value, yaml.SequenceStartEvent)
    text = _read_words(events) if is_list else _read_text(value, events)
    if name == "rows":
        _read_rows(text, line, head)
    elif name in _MAPPINGS:
        if text != "":
            head.note_mistake(line, f"{name} must be names and values, such as {name}: {_EXAMPLES[name]}")
    elif name in PIXEL_READERS:
        _read_pixels(name, text, line, head)
    elif name not in IN_MANIFEST:
        head.note_mistake(line, _explain_unknown(name))
    elif text is None and _is_of_words(name):
        head.note_mistake(line, f"{name} must be words, such as {IN_MANIFEST[name].example}")
    elif text is None:
        head.note_mistake(line, f"{name} must be a single value")
    elif text:
        _read_scalar(name, text, line, head)


def _is_of_words(name: str) -> bool:
    return name in IN_MANIFEST and isinstance(IN_MANIFEST[name].type, Words)


def _read_text(value: yaml.Event, events: Events) -> str | None:
    events.skip(value)
    return text_of(value) if isinstance(value, yaml.ScalarEvent) else None


def _read_words(events: Events) -> str | None:
    """Return the words of the list that has begun, joined by commas; None where it holds anything else."""
    words: list[str] | None = []
    while not isinstance(event := events.next(), yaml.SequenceEndEvent):
        text = None if find_objection(event) else _read_text(event, events)
        words = None if words is None or text is None else [*words, text]
    return None if words is None else ",".join(words)


def _read_rows(text: str | None, line: int, head: Head) -> None:
    if text:
        head.rows = text
    else:
        head.note_mistake(line, "no rows: a list is expected below `rows:`, or the name of a file")


def _read_pixels(name: str, text: str | None, line: int, head: Head) -> None:
    """Read a setting that rows may hold too: at the top of a manifest it is their default."""
    if text is None:
        head.note_mistake(line, f"{name} must be a single value")
    elif name in head.defaults:
        head.note_mistake(line, f"{name} is given twice: here and in defaults")
    elif text:
        head.defaults[name] = text
        head.lines[f"defaults.{name}"] = line


def _read_scalar(name: str, text: str, line: int, head: Head) -> None:
    try:
        head.settings[name] = _read_setting(name, text)
    except ValueError as error:
        head.note_mistake(line, str(error))


def _read_mapping(name: str, events: Events, head: Head) -> None:
    into = head.defaults if name == "defaults" else head.column
    for key, line, value in events.pairs():
        events.skip(value)
        problem = f"{name}: {key} is given twice" if key in into else find_objection(value)
        if key is None or problem or not isinstance(value, yaml.ScalarEvent):
            head.note_mistake(line, problem or f"{name}: {key or 'a name'} must be a single value")
        else:
            into[key] = text_of(value)
            head.lines[f"{name}.{key}"] = line


_EXAMPLES = {"defaults": "{guidance: 30}", "column": "{image: photo_url}"}


def _read_setting(name: str, text: str) -> Any:
    """Read one setting of a manifest. Raises ValueError: `concurrency must be between 1 and 1000, not -3`."""
    kind = IN_MANIFEST[name].type
    assert isinstance(kind, Text), "mappings are read pair by pair"
    try:
        return kind.read(text)
    except ValueError as error:
        raise ValueError(f"{name} {error}") from None


def _explain_unknown(name: str) -> str:
    """Return what to tell of the setting *name*, which no manifest holds."""
    if name in _KEPT_OUT:
        if name in BY_NAME and not BY_NAME[name].places:
            return f"{name} cannot be set in a manifest: put it into config.toml"
        way = "set BATCHFILL_TOKEN" if name == "token" else "give it on the command line"
        return f"{name} cannot be set in a manifest: {way}"
    known = sorted({*IN_MANIFEST, *PIXEL_READERS, "rows"})
    return f"unknown setting {cut_short(name)}" + did_you_mean_or_known(name, known)
