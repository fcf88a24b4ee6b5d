"""The rows of a workbook's sheet (.xlsx), as a person sees them there."""

from __future__ import annotations

import re
import zlib
from contextlib import contextmanager
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile, ZipFile

from batchfill.manifest.formats.valueless_cells import APART, NO_VALUE, column_number, find_valueless
from batchfill.manifest.record import Broken, Header, Note, Record, RowFault, Trouble, explain_unnamed
from batchfill.regular_files import open_regular

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from python_calamine import CalamineSheet, CalamineWorkbook

    from batchfill.manifest.formats.valueless_cells import ValuelessCells

CELLS = 16_000_000
"""Cells from the first to the last one in use: the reader takes 32 bytes of memory for each, empty or not."""

UNPACKED = 1024 * 1024 * 1024
"""Bytes of the unpacked parts."""

_PIECE = 1024 * 1024
_PLACE = re.compile(rb"\sr\s*=\s*[\"']([A-Za-z]{1,3})(\d{1,7})[\"']")
_ROW = re.compile(rb"<(?:\w+:)?row\s(?:[^>]*?\s)?r\s*=\s*[\"'](\d{1,8})[^>]*[^/]>")
"""A line that may hold cells, whose places need not be written."""
_TAG = 512
"""Bytes of a tag at most, which may lie in two pieces."""
_MISSING = 'is a workbook: save it as "CSV UTF-8", or `pip install "batchfill[xlsx]"` to read workbooks'
_ADVICE = 'save its rows as "CSV UTF-8"'


def read_workbook(path: Path, sheet: str | None) -> Iterator[Header | Record | Trouble | Note]:
    """Yield the header and the rows of *sheet*, and what is to know of it. Raises Broken.

    None is the first one that is shown.
    """
    with _open_sheet(path, sheet) as (rows, lacking):
        lines = (item for item in rows if _has_text(item[1]) or item[0] in lacking.formulas)
        first = next(lines, None)
        if first is None:
            return
        if first[0] in lacking.formulas:
            raise Broken(first[0], f"the names of its columns are formulas without their values: {NO_VALUE}")
        names = tuple(cell.strip() for cell in first[1])
        width = max(place + 1 for place, name in enumerate(names) if name)
        yield Header(first[0], names[:width])
        hidden = 0
        for line, cells in lines:
            # A formula next to the table, such as a sum, makes no row of a line without anything else.
            if not _has_text(cells) and min(lacking.formulas[line]) >= width:
                continue
            hidden += line in lacking.hidden
            yield _make_row(line, names[:width], cells, lacking)
    if hidden:
        told = "1 row is" if hidden == 1 else f"{hidden:,} rows are"
        yield Note(f"{told} hidden in the sheet, by a filter or by hand, and read as all others")


def _has_text(cells: Iterable[str]) -> bool:
    return any(map(str.strip, cells))


def _make_row(
    line: int, names: tuple[str, ...], cells: list[str], valueless: ValuelessCells
) -> Record | Trouble:
    width = len(names)
    cells = [*cells, *[""] * (width - len(cells))]
    if _has_text(cells[width:]):
        return Trouble(line, explain_unnamed(width))
    if lacking := [names[place] for place in sorted(valueless.formulas.get(line, ())) if place < width]:
        return Trouble(line, f"{lacking[0]} holds a formula without its value: {NO_VALUE}")
    for place, name in enumerate(names if line in valueless.merged else ()):
        if name and not cells[place].strip() and (whole := valueless.merged_at(line, place)):
            return Trouble(line, RowFault.shared(*_explain_merged(name, whole)))
    return Record(line, names, cells[:width])


def _explain_merged(name: str, whole: str) -> tuple[str, str]:
    """Return what to say of an empty cell that belongs to the *whole* of a merged one, once and of many."""
    return (
        f"{name} is empty, as its cell is merged with others ({whole}): {APART}",
        f"{name} is empty, as its cells are merged with others: {APART}",
    )


def read_lines(path: Path, sheet: str | None) -> Iterator[tuple[int, list[str]]]:
    """Yield number and cells of each line of *sheet*, blank ones too. Raises Broken."""
    with _open_sheet(path, sheet) as (rows, _):
        yield from rows


@contextmanager
def _open_sheet(
    path: Path, sheet: str | None
) -> Iterator[tuple[Iterator[tuple[int, list[str]]], ValuelessCells]]:
    """Give the lines of *sheet*, errors as they are shown there, and its cells without a value."""
    with _open_book(path) as book:
        name = _choose_sheet(_find_sheets(book), sheet)
        with open_regular(path) as file, ZipFile(file) as package:
            lacking = find_valueless(package, name)
        yield _lines_of(book.get_sheet_by_name(name), lacking), lacking


def _lines_of(sheet: CalamineSheet, lacking: ValuelessCells) -> Iterator[tuple[int, list[str]]]:
    line = 0
    for line, cells in enumerate(sheet.iter_rows(), 1):
        texts = list(map(_to_text, cells))
        for place, shown in lacking.errors.get(line, {}).items():
            texts += [""] * (place + 1 - len(texts))
            texts[place] = shown
        yield line, texts
    # The reader ends at the last value.
    yield from ((below, []) for below in sorted(lacking.formulas) if below > line)


def sheet_names(path: Path) -> list[str]:
    """Return the names of the sheets that are shown, in their order. Raises Broken."""
    with _open_book(path) as book:
        return [name for name, visible in _find_sheets(book).items() if visible]


@contextmanager
def _open_book(path: Path) -> Iterator[CalamineWorkbook]:
    try:
        from python_calamine import CalamineError, CalamineWorkbook
    except ImportError:
        raise Broken(0, _MISSING) from None
    _refuse_huge(path)
    try:
        with CalamineWorkbook.from_path(str(path)) as book:
            yield book
    except CalamineError as error:
        raise Broken(0, f"is a workbook that cannot be read ({error}): {_ADVICE}") from None


def _find_sheets(book: CalamineWorkbook) -> dict[str, bool]:
    """Return the names of all sheets, and which of them a person sees."""
    from python_calamine import SheetVisibleEnum

    return {about.name: about.visible == SheetVisibleEnum.Visible for about in book.sheets_metadata}


def _choose_sheet(shown: Mapping[str, bool], wanted: str | None) -> str:
    """Return the name of the sheet that holds the rows; *shown*: all, and which of them a person sees."""
    if wanted is None:
        name = next((name for name, visible in shown.items() if visible), None)
    else:
        name = next((name for name in shown if name.casefold() == wanted.strip().casefold()), None)
    if name is None:
        missed = "has no sheet that is shown" if wanted is None else f"has no sheet {wanted}"
        raise Broken(0, f"{missed}; its sheets are {', '.join(shown)}")
    return name


def _refuse_huge(path: Path) -> None:
    """Raise Broken where to open the workbook would take more memory than a machine has to spare."""
    try:
        with open_regular(path) as file, ZipFile(file) as package:
            if sum(member.file_size for member in package.infolist()) > UNPACKED:
                raise Broken(0, f"is a workbook of more than {UNPACKED // 2**20:,} MiB: {_ADVICE}")
            for member in package.infolist():
                if member.filename.startswith("xl/worksheets/"):
                    _refuse_sparse(package, member.filename)
    except (
        BadZipFile,
        OSError,
        ValueError,
        NotImplementedError,
        EOFError,
        RuntimeError,
        zlib.error,
    ) as error:
        raise Broken(0, f"is a workbook that cannot be read ({error}): {_ADVICE}") from None


def _refuse_sparse(package: ZipFile, member: str) -> None:
    right = bottom = 1
    held = b""
    with package.open(member) as part:
        while piece := part.read(_PIECE):
            held += piece
            for letters, digits in _PLACE.findall(held):
                right, bottom = max(right, column_number(letters.decode())), max(bottom, int(digits))
            bottom = max([bottom, *(int(digits) for digits in _ROW.findall(held))])
            held = held[-_TAG:]
            if right * bottom > CELLS:
                raise Broken(
                    0, f"has a sheet of {bottom:,} lines and {right:,} columns, most of them empty: {_ADVICE}"
                )


def _to_text(value: Any) -> str:
    """Return what a cell shows: 30 for 30.0, 15 digits at most, a day and a time as ISO has them."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else format(value, ".15g")
    if isinstance(value, datetime):
        return value.isoformat(" ", "seconds")
    if isinstance(value, time):
        return value.isoformat("seconds")
    if isinstance(value, timedelta):
        hours, rest = divmod(round(value.total_seconds()), 3600)
        return f"{hours:02}:{rest // 60:02}:{rest % 60:02}"
    return value.isoformat() if isinstance(value, date) else str(value)
