"""The rows of a CSV: comma, semicolon, tab or bar, quoted as spreadsheets and people quote."""

from __future__ import annotations

import csv
import re
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from batchfill.filenames import from_cell
from batchfill.manifest.record import RECORD_LIMIT, Broken, Header, Record, Trouble, explain_unnamed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from batchfill.manifest.text import Lines

RESULTS = frozenset({"state", "prediction_id", "attempts"})
"""Columns that only a table of results has, whose cells were kept from being formulas."""

DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
_OPENING = frozenset("“”„‟«»‘’‚‛'`´＂″")
"""Quotes of people, which are letters of their cell to a table."""

_NAMED = re.compile(r'"?sep=([,;\t|])', re.IGNORECASE)
"""Excel's own way to name the delimiter in a line that it does not show."""


def read_csv(lines: Lines, *, literal_quotes: bool = False) -> Iterator[Header | Record | Trouble]:
    """Yield the header and then the rows of a CSV; nothing when it is empty. Raises Broken.

    *literal_quotes*: quotes behind a space belong to the text of their cell.
    """
    first = next((line for line in lines if line.strip()), None)
    if first is None:
        return
    delimiter = _sniff_delimiter(first)
    if named := _NAMED.match(first):
        delimiter, first = named[1], next(filter(str.strip, lines), "")
    # The limit is the module's, for the whole process: cells are bounded by us, with a message.
    csv.field_size_limit(RECORD_LIMIT)
    given: Iterator[str] = chain([first], lines)
    if not literal_quotes:
        given = _without_gaps(given, lines.held, delimiter, spaced=f"{delimiter} " in first)
    reader: Iterator[list[str]] = csv.reader(given, delimiter=delimiter, strict=True)
    header_line = lines.number
    cells = _next_cells(reader, lines) or []
    names = _column_names(cells)
    table = _Table(names, len(cells), DELIMITERS[delimiter])
    if RESULTS.issubset(names):
        names = tuple(map(from_cell, names))
        # A generator would end at the first line that is no CSV.
        table = table._replace(names=names)
        reader = map(_as_given, reader)
    yield Header(header_line, names)
    yield from _read_rows(reader, lines, table)


class _Table(NamedTuple):
    """What the header says of all rows."""

    names: tuple[str, ...]
    """Up to the last one that is not empty."""
    cells: int
    """Of the header, empty ones too."""
    delimiter: str
    """In a word."""


def _read_rows(reader: Iterator[list[str]], lines: Lines, table: _Table) -> Iterator[Record | Trouble]:
    lines.begin()
    line = lines.number + 1
    while (cells := _next_cells(reader, lines)) is not None:
        if isinstance(cells, Trouble):
            yield cells
        elif any(map(str.strip, cells)):
            yield _make_record(line, table, cells)
        lines.begin()
        line = lines.number + 1


def _make_record(line: int, table: _Table, cells: list[str]) -> Record | Trouble:
    names, width = table.names, len(table.names)
    if len(cells) == width:
        return Record(line, names, cells)
    if any(map(str.strip, cells[width:])):
        return Trouble(line, _explain_surplus(table, cells))
    # Spreadsheets leave out empty cells at the end of a line, or add some.
    return Record(line, names, [*cells, *[""] * (width - len(cells))][:width])


def _explain_surplus(table: _Table, cells: list[str]) -> str:
    width = len(table.names)
    if len(cells) <= table.cells:
        return explain_unnamed(width)
    advice = f"put quotes round a cell that holds a {table.delimiter}"
    if quote := next((cell.strip()[0] for cell in cells if cell.strip()[:1] in _OPENING), ""):
        advice = f'{quote} is no quote of a table: put " round a cell that holds a {table.delimiter}'
    return f"{len(cells)} cells, but the header has {width}: {advice}"


def has_odd_quotes(text: str) -> bool:
    """Whether *text* is in quotes that a table takes for a part of it."""
    text = text.strip()
    return len(text) > 1 and text[0] in _OPENING and text[-1] in _OPENING


def _as_given(cells: list[str]) -> list[str]:
    return list(map(from_cell, cells))


def _column_names(cells: list[str] | Trouble) -> tuple[str, ...]:
    if isinstance(cells, Trouble):
        raise Broken(*cells)
    names = [cell.strip() for cell in cells]
    while names and not names[-1]:
        names.pop()
    return tuple(names)


def _next_cells(reader: Iterator[list[str]], lines: Lines) -> list[str] | Trouble | None:
    """Return the next row's cells, what is wrong with it, or None at the end."""
    try:
        return next(reader, None)
    except csv.Error as error:
        at_end = "unexpected end" in str(error)
        if len(lines.held) == 1 and not at_end:
            return Trouble(lines.number, 'a quote inside a quoted cell: write it twice, as ""')
        # Lines are out of step from here on: every further mistake would be a consequence of this one.
        opened = _opening_quote(lines.held if at_end else lines.held[:-1], lines)
        raise Broken(
            opened,
            "a quote opens here and is not closed at the end of its cell: close it, or write it twice if it "
            "is text",
        ) from None
    except Broken as broken:
        if lines.size < RECORD_LIMIT or not (opened := _opening_quote(lines.held, lines)):
            raise
        raise Broken(
            opened, "a quote opens here and is never closed (or its cell is far too long)"
        ) from broken


def _opening_quote(held: list[str], lines: Lines) -> int:
    """Return the line of the last quote in *held* that opens a cell; 0 for none."""
    opened = inside = 0
    for number, line in enumerate(held, lines.number - len(lines.held) + 1):
        quotes = line.replace('""', "").count('"')
        if quotes > inside:
            opened = number
        inside = (inside + quotes) % 2
    return opened


def _sniff_delimiter(header: str) -> str:
    outside = "".join(header.split('"')[::2])
    # Names may hold a bar; it parts them where nothing else does.
    usual = max(",;\t", key=outside.count)
    return "|" if usual not in outside and "|" in outside else usual


def _without_gaps(lines: Iterable[str], held: list[str], delimiter: str, *, spaced: bool) -> Iterator[str]:
    """Yield *lines* without the spaces between a quote and the delimiters around its cell.

    So a quote behind a space is a quote too. All other spaces belong to their cells. *held*: the lines of the
    row so far, this one included. *spaced*: whether the header has spaces behind its delimiters; only then a
    quote behind a space may open a cell of several lines.
    """
    gaps = _Gaps(delimiter, spaced=spaced)
    looked_at, inside = 0, False
    for line in lines:
        if len(held) == 1:
            looked_at, inside = 0, False
        if ' "' in line or '" ' in line:
            # Each line once: a cell may have as many as a row may.
            for before in held[looked_at:-1]:
                inside = gaps.close(before, inside=inside)[1]
            line, inside = gaps.close(line, inside=inside)
            looked_at = len(held)
        yield line


class _Gaps:
    """Knows where cells begin and end in one line."""

    def __init__(self, delimiter: str, *, spaced: bool) -> None:
        end = rf" *(?=[{re.escape(delimiter)}\r\n]|$)"
        self._rest = re.compile(rf'((?:[^"]|"")*+"){end}')
        self._quoted = re.compile(rf' *("(?:[^"]|"")*+"){end}')
        self._plain = re.compile(rf"([^{re.escape(delimiter)}\r\n]*)")
        self._opened = re.compile(r' *"' if spaced else '"')

    def close(self, line: str, *, inside: bool) -> tuple[str, bool]:
        """Return *line* without gaps, and whether a quoted cell goes on behind it; *inside*: before it."""
        parts: list[str] = []
        at, odd = 0, line.count('"') % 2 == 1
        while at < len(line):
            found = (self._rest if inside else self._quoted).match(line, at)
            if found is None:
                start = at if inside else self._open(line, at, odd=odd)
                if start is not None:
                    return "".join((*parts, line[start:])), odd is not inside
                found = self._plain.match(line, at)
            assert found is not None, "a cell without quotes may hold anything"
            odd ^= found[0].count('"') % 2 == 1
            parts += (found[1], line[found.end() : found.end() + 1])
            at, inside = found.end() + 1, False
        return "".join(parts), False

    def _open(self, line: str, at: int, *, odd: bool) -> int | None:
        """Return where a quote opens the cell that begins at *at*; None where none does.

        *odd*: whether the quotes from *at* on are an odd number, so that one is not closed in this line.
        """
        opened = self._opened.match(line, at)
        if opened is None or (opened.end() - 1 > at and not odd):
            return None
        return opened.end() - 1
