"""The cell of a picture or a mask, as tables have them, becomes an address, and that a file."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from batchfill.domain.objects import SCHEMES, ObjectFile, is_object_address

if TYPE_CHECKING:
    from batchfill.domain.rows import RowFile
    from batchfill.manifest.local_files import LocalFiles

FindObject = Callable[[str], ObjectFile]
"""Says what the address of an object means; it raises ValueError when that is nothing that can be used."""

_NAMED = re.compile(r"(?!https?://)[^()]*\((https?://[^()\s]+)\)", re.IGNORECASE)
"""`photo.jpg (https://…)`: so tables of databases name an attachment."""

_BEGINS = re.compile(rf"(?:^|[\s(])(?:https?|{'|'.join(SCHEMES)})://", re.IGNORECASE)
_ODD = re.compile(r"[\s(]")
_WEB = re.compile(r"https?://", re.IGNORECASE)


def read_file_cell(cell: str) -> str:
    """Return the address in *cell*, without what tables write around it. Raises ValueError for several."""
    if not _ODD.search(cell):
        return cell
    if len(_BEGINS.findall(cell)) > 1 and len(cell.split()) > 1:
        raise ValueError("several addresses in one cell: a row takes one, so make a row of each")
    if named := _NAMED.fullmatch(cell):
        return named[1]
    # A browser takes an address with a space, and sends it like this.
    return cell.replace(" ", "%20") if _WEB.match(cell) else cell


class RowFiles:
    """The files that rows name and that are read here: below the manifest's folder, or in buckets."""

    def __init__(self, local: LocalFiles, find_object: FindObject) -> None:
        self._find_local, self._find_object = local.find_file, find_object

    def find_file(self, address: str) -> RowFile | None:
        """Return the file that *address* names, None for an http(s) URL. Raises ValueError: none is there."""
        return self._find_object(address) if is_object_address(address) else self._find_local(address)


def refuse_object(address: str) -> ObjectFile:
    """Raise ValueError, for those who read rows and ask no bucket."""
    raise ValueError(f"{address} is in a bucket, and none is asked here")
