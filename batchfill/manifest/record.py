"""What every kind of manifest is read into: the cells of one row, before it is known what they mean."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from batchfill.errors import Mistake

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

CELL_LIMIT = 100_000
"""Characters of one cell."""

EMPTY = "is empty: a row names a picture, its mask and a prompt; `batchfill init` writes an example"
"""What is said of a manifest that holds nothing."""

RECORD_LIMIT = 1_000_000
"""Characters of one row: what a quote that is never closed may swallow before reading stops."""

MESSAGE_LIMIT = 500
"""Characters of one message."""


class Header(NamedTuple):
    """The line that names the columns of all rows after it; only a CSV has one."""

    line: int
    names: tuple[str, ...]


class Record(NamedTuple):
    """One row as text. *names* is the header's, or the row's own keys."""

    line: int
    """1-based line where the row begins."""
    names: tuple[str, ...]
    cells: Sequence[str]
    """As many as names."""


class Trouble(NamedTuple):
    """One thing wrong with one row; reading goes on behind it."""

    line: int
    message: str


class Note(NamedTuple):
    """What is good to know of the file as a whole."""

    text: str


class RowFault(str):
    """What is wrong with one row, and what to say instead where many rows share it."""

    __slots__ = ("apart", "many", "value")
    many: str
    value: str
    apart: int

    @classmethod
    def shared(cls, message: str, many: str, *, value: str = "", apart: int = 0) -> RowFault:
        """Return *message* for one row, and *many* for all that have the same.

        *value*: what this row has, which is told behind *many*. *apart*: so many rows are told one by one.
        """
        fault = cls(message)
        fault.many, fault.value, fault.apart = many, value, apart
        return fault


class Broken(Exception):
    """The file cannot be read any further; what is wrong, and in which line (0: the whole file)."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line
        self.message = message


def explain_unnamed(width: int) -> str:
    """Return what to say of a row that goes on behind the *width* columns that have a name."""
    return f"a cell to the right of the {width} columns that have a name: name its column"


def find_unfit_cells(record: Record) -> list[str]:
    """Return why no cell may hold what those of *record* hold; empty where all of them may."""
    joined = "".join(record.cells)
    if len(joined) <= CELL_LIMIT and joined.isascii() and "\0" not in joined:
        return []
    return [words for pair in zip(record.names, record.cells, strict=True) if (words := why_unfit(*pair))]


def why_unfit(name: str, text: str) -> str | None:
    """Return why no cell may hold *text*, None when one may."""
    if len(text) > CELL_LIMIT:
        return f"{name} holds {len(text):,} characters; at most {CELL_LIMIT:,} are allowed"
    if "\0" in text:
        return f"{name} holds a NUL character"
    if not text.isascii() and any("\ud800" <= c <= "\udfff" for c in text):
        # As JSON escapes make them; neither the service nor a file could take such text.
        return f"{name} holds half a character: a broken emoji?"
    return None


def make_mistake(file: Path, line: int, message: str, *, ends: bool = False) -> Mistake:
    """Return a mistake whose message, which may repeat the file's text, is one printable line."""
    mistake = Mistake(file, line, _one_line(message), ends)
    if not isinstance(message, RowFault):
        return mistake
    values = (_one_line(message.value),) if message.value else ()
    return replace(mistake, many=_one_line(message.many), values=values, apart=message.apart)


def _one_line(text: str) -> str:
    if not text.isprintable():
        text = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
    return text if len(text) <= MESSAGE_LIMIT else f"{text[:MESSAGE_LIMIT]}…"
