"""The pages that commits wrote, read from SQLite's log, and put into a copy of the ledger elsewhere."""

from __future__ import annotations

from struct import Struct, error
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HEADER, FRAME = 32, 24
"""Bytes at the log's beginning, and in front of each page of it."""

LARGEST = 16 * 1024 * 1024
"""Bytes of pages that are taken at once; where commits wrote more, a copy of the whole ledger is smaller."""

_HEAD = Struct(">8x I 4x 8s 8x")
"""The size of a page, and the salts: what tells this log from the one before it in the same file."""
_FRAME = Struct(">2I 8s 8x")
"""The page's number, the ledger's pages after a commit (0: more of it follows), the salts."""
_PAGES = Struct(">2I")
"""In front of what is taken: the size of a page, and how many of them the ledger has."""
_NUMBER = Struct(">I")


class TooManyPages(Exception):
    """More was committed than is taken at once; it counts as taken."""


class LogFrames:
    """Takes from the log of an open ledger what was committed since it was last asked.

    Ask it where no transaction is open and after each commit: SQLite begins the log again once all of it is
    in the ledger, and at a commit only.
    """

    def __init__(self, ledger: Path) -> None:
        self._log = ledger.with_name(f"{ledger.name}-wal")
        self._salts = b""
        self._at = HEADER

    def skip(self) -> None:
        """Count all that was committed as taken."""
        for _ in self._committed():
            pass

    def take(self) -> bytes:
        """Return the pages that were committed, each once; empty: none were. Raises TooManyPages, OSError."""
        pages: dict[int, bytes] = {}
        shape = (0, 0)
        for shape, number, page in self._committed():
            if len(pages) * shape[0] <= LARGEST:
                pages[number] = page
        if len(pages) * shape[0] > LARGEST:
            raise TooManyPages
        if not pages:
            return b""
        parts = [_PAGES.pack(*shape)]
        for number, page in pages.items():
            parts += (_NUMBER.pack(number), page)
        return b"".join(parts)

    def _committed(self) -> Iterator[tuple[tuple[int, int], int, bytes]]:
        """Yield the pages that whole transactions wrote: number and content.

        Before them the size of a page, and how many of them the ledger has by then.
        """
        try:
            file = self._log.open("rb")
        except FileNotFoundError:
            return
        with file:
            head = file.read(HEADER)
            if len(head) < HEADER:
                return
            size, salts = _HEAD.unpack(head)
            if salts != self._salts:
                self._salts, self._at = salts, HEADER
            while (ended := self._end_of_transaction(file, size)) is not None:
                end, count = ended
                for at in range(self._at, end, FRAME + size):
                    file.seek(at)
                    number, _, _ = _FRAME.unpack(file.read(FRAME))
                    yield (size, count), number, file.read(size)
                self._at = end

    def _end_of_transaction(self, file: IO[bytes], size: int) -> tuple[int, int] | None:
        """Return where the next transaction ends, and the ledger's pages by then; None: none is whole."""
        at = self._at
        while file.seek(at) == at and len(frame := file.read(FRAME)) == FRAME:
            _, count, salts = _FRAME.unpack(frame)
            # What a transaction left that was undone has these salts too, but never ends one.
            if salts != self._salts:
                return None
            at += FRAME + size
            if count:
                return at, count
        return None


def apply_frames(ledger: IO[bytes], taken: bytes) -> None:
    """Write the pages *taken* to a copy of the ledger. Raises ValueError when they are not whole."""
    if not taken:
        return
    try:
        size, count = _PAGES.unpack_from(taken)
        if not size or (len(taken) - _PAGES.size) % (_NUMBER.size + size):
            raise ValueError("its pages are not whole")
        for at in range(_PAGES.size, len(taken), _NUMBER.size + size):
            (number,) = _NUMBER.unpack_from(taken, at)
            ledger.seek((number - 1) * size)
            ledger.write(taken[at + _NUMBER.size : at + _NUMBER.size + size])
    except error as failure:
        raise ValueError(f"its pages are not whole: {failure}") from None
    ledger.truncate(count * size)
