"""What the reader of workbooks does not tell: cells that it gives as empty, and lines that are hidden."""

from __future__ import annotations

import re
from typing import IO, TYPE_CHECKING
from xml.parsers import expat

from batchfill.manifest.record import Broken

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from zipfile import ZipFile

MOST = 100_000
"""Of such cells in a sheet."""

NO_VALUE = "open the workbook in a spreadsheet program and save it there, which works formulas out"

APART = "take them apart, and fill each cell"

_BETWEEN = "\n"
"""What expat puts between a namespace and a name: neither has it."""
_PIECE = 1024 * 1024
_MAY_LACK = re.compile(rb"<(?:\w+:)?(?:f|mergeCell)[\s/>]|\st\s*=\s*[\"']e[\"']|\shidden\s*=\s*[\"'](?:1|t)")
"""What a sheet without such cells does not have: formulas, merged cells, errors, hidden lines."""
_LINE = re.compile(r"\d{1,7}", re.ASCII)
_MERGED = re.compile(r"([A-Z]{1,3})(\d{1,7}):([A-Z]{1,3})(\d{1,7})", re.ASCII | re.IGNORECASE)
_PLACE = re.compile(r"([A-Z]{1,3})(\d{1,7})", re.ASCII | re.IGNORECASE)


class ValuelessCells:
    """Which of the cells of a sheet have no value that its reader gives; which lines are hidden."""

    def __init__(self) -> None:
        self.errors: dict[int, dict[int, str]] = {}
        """What each shows, such as `#N/A`, by line (from 1) and place in it (from 0)."""
        self.formulas: dict[int, set[int]] = {}
        """The places of those that no program has worked out, by line."""
        self.merged: dict[int, list[tuple[range, str]]] = {}
        """By line: places that belong to a cell which is merged over them, and all of it, such as `A2:A4`."""
        self.hidden: set[int] = set()
        """Lines that are hidden, by hand or by a filter."""

    def merged_at(self, line: int, place: int) -> str:
        """Return the cell that is merged over *place* of *line* and begins elsewhere; empty where none is."""
        return next((whole for places, whole in self.merged.get(line, ()) if place in places), "")


def find_valueless(package: ZipFile, sheet: str) -> ValuelessCells:
    """Return the cells without a value of *sheet*, by its name. Raises Broken where it is not to be found."""
    found = ValuelessCells()
    member = _member_of(package, sheet)
    with package.open(member) as part:
        if not _may_lack(part):
            return found
    with package.open(member) as part:
        _SheetWalk(found).walk(part)
    return found


def column_number(letters: str) -> int:
    """Return the number of a column from its letters: 1 for A."""
    number = 0
    for letter in letters.upper():
        number = 26 * number + ord(letter) - 64
    return number


def _member_of(package: ZipFile, sheet: str) -> str:
    """Return the name of the part that holds *sheet*."""
    ids: dict[str, str] = {}
    targets: dict[str, str] = {}

    def note_sheet(name: str, attributes: Mapping[str, str]) -> None:
        if name == "sheet":
            ids[attributes.get("name", "")] = attributes.get("id", "")

    def note_target(name: str, attributes: Mapping[str, str]) -> None:
        if name == "Relationship":
            targets[attributes.get("Id", "")] = attributes.get("Target", "")

    names = {name.lower(): name for name in package.namelist()}
    for part, note in (("xl/workbook.xml", note_sheet), ("xl/_rels/workbook.xml.rels", note_target)):
        if part in names:
            with package.open(names[part]) as file:
                _parse(file, note)
    target = targets.get(ids.get(sheet, ""), "").removeprefix("/")
    member = target if target.startswith("xl/") else f"xl/{target}"
    if member.lower() not in names:
        raise Broken(0, f"has a sheet {sheet} that cannot be found in it: save it again")
    return names[member.lower()]


def _may_lack(part: IO[bytes]) -> bool:
    held = b""
    while piece := part.read(_PIECE):
        if _MAY_LACK.search(held + piece):
            return True
        held = piece[-32:]
    return False


def _parse(
    file: IO[bytes],
    begin: Callable[[str, Mapping[str, str]], None],
    end: Callable[[str], None] = lambda name: None,
    take_text: Callable[[str], None] = lambda text: None,
) -> None:
    """Walk through the XML in *file*; names are without namespaces. Raises Broken."""
    parser = expat.ParserCreate(None, _BETWEEN)
    parser.buffer_text = True

    def local(name: str) -> str:
        return name.rpartition(_BETWEEN)[2]

    def refuse(*_: object) -> None:
        raise Broken(0, "is a workbook with a document type, which none has")

    parser.StartElementHandler = lambda name, found: begin(
        local(name), {local(n): v for n, v in found.items()}
    )
    parser.EndElementHandler = lambda name: end(local(name))
    parser.CharacterDataHandler = take_text
    parser.StartDoctypeDeclHandler = refuse
    try:
        parser.ParseFile(file)
    except expat.ExpatError as error:
        raise Broken(0, f"is a workbook that cannot be read ({error}): save it again") from None


class _SheetWalk:
    """Walks through the cells of a sheet."""

    def __init__(self, found: ValuelessCells) -> None:
        self._found = found
        self._count = self._merged_lines = 0
        self._line = self._place = 0
        self._kind = ""
        self._formula = False
        self._taking = False
        self._value = ""

    def walk(self, part: IO[bytes]) -> None:
        """Note what the sheet in *part* has. Raises Broken."""
        _parse(part, self._begin, self._end, self._take_text)

    def _begin(self, name: str, attributes: Mapping[str, str]) -> None:
        if name == "row":
            number = attributes.get("r", "")
            self._line = int(number) if _LINE.fullmatch(number) else self._line + 1
            self._place = -1
            if attributes.get("hidden", "") in ("1", "true"):
                self._found.hidden.add(self._line)
        elif name == "mergeCell":
            self._note_merged(attributes.get("ref", ""))
        elif name == "c":
            match = _PLACE.fullmatch(attributes.get("r", ""))
            self._place = column_number(match[1]) - 1 if match else self._place + 1
            self._kind, self._formula, self._value = attributes.get("t", "n"), False, ""
        elif name == "f":
            self._formula = True
        self._taking = name == "v"

    def _take_text(self, text: str) -> None:
        if self._taking:
            self._value += text

    def _end(self, name: str) -> None:
        self._taking = False
        if name != "c":
            return
        if self._kind == "e":
            self._found.errors.setdefault(self._line, {})[self._place] = self._value or "#N/A"
        elif self._formula and not self._value and self._kind != "str":  # a text may be empty
            self._found.formulas.setdefault(self._line, set()).add(self._place)
        else:
            return
        self._count += 1
        if self._count > MOST:
            raise Broken(
                0, f"has more than {MOST:,} cells with errors or formulas without a value: {NO_VALUE}"
            )

    def _note_merged(self, whole: str) -> None:
        match = _MERGED.fullmatch(whole)
        if match is None:
            return
        left, right = column_number(match[1]) - 1, column_number(match[3])
        top, bottom = int(match[2]), int(match[4])
        self._merged_lines += bottom - top + 1
        if self._merged_lines > MOST:
            raise Broken(0, f"has merged cells in more than {MOST:,} lines: {APART}")
        for line in range(top, bottom + 1):
            # The first cell has the value of all.
            self._found.merged.setdefault(line, []).append((range(left + (line == top), right), whole))
