"""Whether the first line of a table names its columns, and what it is else."""

from __future__ import annotations

import csv
import re
from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING

from batchfill.manifest.formats.csv import DELIMITERS, has_odd_quotes
from batchfill.manifest.formats.workbook import read_lines, sheet_names
from batchfill.manifest.record import Broken
from batchfill.manifest.text import HEAD, open_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from batchfill.manifest.manifest import Manifest
    from batchfill.manifest.record import Header

_LOOKED_AT = 20
"""Lines among which the header may be."""

_VALUE = re.compile(
    r"#.*|.*\.(png|jpe?g|jfif|webp|gif|bmp|tiff?|avif|hei[cf])|\w+://.*|.*[/\\].*|\d+([.,]\d+)?",
    re.IGNORECASE,
)
"""What is written in cells and not in headers: pictures, addresses, numbers; comments."""

_MUST = "the first line must name the columns"
_SUCH_AS = "such as id,image,mask,prompt"


def explain_missing_header(manifest: Manifest, header: Header, knows: Callable[[str], bool]) -> str | None:
    """Return what to do when *header* names no column that *knows* knows; None when it may be a header."""
    if any(map(knows, header.names)):
        return None
    if any(has_odd_quotes(name) and knows(name.strip()[1:-1]) for name in header.names):
        quotes = next(
            " and ".join((text[0], text[-1])) for text in map(str.strip, header.names) if has_odd_quotes(text)
        )
        return f'{quotes} are no quotes of a table: put " in their place, in the whole file'
    if line := _find_header(manifest, header.line, knows):
        return f"{_MUST}; line {line} does: remove what is above it"
    if manifest.rows_kind == "workbook" and len(sheets := sheet_names(manifest.rows)) > 1:
        return f"{_MUST}; the sheets are {', '.join(sheets)}: name the one with the rows with --sheet"
    if len(header.names) == 1 and sum(map(knows, re.findall(r"\w+", header.names[0]))) > 1:
        return f"{_MUST}, with commas, semicolons, tabs or bars between them"
    if any(map(_VALUE.fullmatch, header.names)):
        return f"{_MUST}, {_SUCH_AS}: put such a line above"
    return None


def _find_header(manifest: Manifest, above: int, knows: Callable[[str], bool]) -> int | None:
    """Return the line among the first ones that names at least two columns; None when none does."""
    with suppress(Broken):  # told when the rows are read
        for line, cells in _first_lines(manifest):
            if line > above and sum(knows(cell) for cell in cells) > 1:
                return line
    return None


def _first_lines(manifest: Manifest) -> Iterator[tuple[int, Sequence[str]]]:
    """Yield number and cells of the first lines, parted in every way."""
    if manifest.rows_kind == "workbook":
        yield from islice(read_lines(manifest.rows, manifest.sheet), _LOOKED_AT)
        return
    with open_text(manifest.rows, manifest.encoding) as text:
        lines = iter(lambda: text.readline(HEAD), "")
        for number, line in enumerate(islice(lines, _LOOKED_AT), 1):
            for delimiter in DELIMITERS:
                yield number, next(csv.reader([line], delimiter=delimiter), [])
