"""The cell of a picture or a mask, as tables have them, becomes an address."""

from __future__ import annotations

import re

_NAMED = re.compile(r"(?!https?://)[^()]*\((https?://[^()\s]+)\)", re.IGNORECASE)
"""`photo.jpg (https://…)`: so tables of databases name an attachment."""

_BEGINS = re.compile(r"(?:^|[\s(])https?://", re.IGNORECASE)
_ODD = re.compile(r"[\s(]")
_WEB = re.compile(r"https?://", re.IGNORECASE)


def read_file_cell(cell: str) -> str:
    """Return the address in *cell*, without what tables write around it. Raises ValueError for several."""
    if not _ODD.search(cell) or not _WEB.search(cell):
        return cell
    if len(_BEGINS.findall(cell)) > 1 and len(cell.split()) > 1:
        raise ValueError("several addresses in one cell: a row takes one, so make a row of each")
    if named := _NAMED.fullmatch(cell):
        return named[1]
    # A browser takes an address with a space, and sends it like this.
    return cell.replace(" ", "%20") if _WEB.match(cell) else cell
