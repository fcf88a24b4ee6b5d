"""The text of a manifest: opened in its encoding, read line by line, never much of it at once."""

from __future__ import annotations

import re
from contextlib import contextmanager
from io import TextIOWrapper
from typing import TYPE_CHECKING

from batchfill.manifest import encodings
from batchfill.manifest.containers import open_unpacked
from batchfill.manifest.record import RECORD_LIMIT, Broken

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import TextIO

HEAD = 65_536
"""Bytes that are enough to tell what a file is."""

_UNREADABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\x80-\x84\x86-\x9f\ud800-\udfff\ufffe\uffff]")


@contextmanager
def open_text(path: Path, encoding: str | None) -> Iterator[TextIO]:
    """Open *path*, unpacked, with its line ends as they are and without a BOM; *encoding* None is UTF-8.

    Raises Broken, from whatever is read inside, when the file cannot be read or is not in that encoding.
    """
    try:
        with TextIOWrapper(open_unpacked(path), encoding=encoding or "utf-8-sig", newline="") as text:
            yield text
    except UnicodeError:
        raise explain_undecodable(path, encoding) from None
    except OSError as error:
        raise Broken(0, f"cannot be read: {error.strerror or error}") from error


class Lines:
    """The lines of *text*, which counts the lines and bounds what one row may take."""

    def __init__(self, text: TextIO) -> None:
        self._lines = self._read_lines(text)
        self.number = 0
        """Of the line read last, 1-based."""
        self.held: list[str] = []
        """The lines since the row began."""
        self.size = 0
        """Characters since the row began."""

    def begin(self) -> None:
        """A new row begins with the next line."""
        self.held.clear()
        self.size = 0

    def __iter__(self) -> Iterator[str]:
        # A generator is asked for its next line in half the time that a method takes.
        return self._lines

    def __next__(self) -> str:
        return next(self._lines)

    def _read_lines(self, text: TextIO) -> Iterator[str]:
        readline, held = text.readline, self.held
        while line := readline(RECORD_LIMIT):
            self.number += 1
            self.size += len(line)
            held.append(line)
            if self.size >= RECORD_LIMIT:
                raise Broken(self.number, f"a row of more than {RECORD_LIMIT:,} characters")
            if "\0" in line:
                raise Broken(self.number, "holds a NUL character: the file is damaged, or not a text file")
            yield line if self.number > 1 else line.removeprefix("\ufeff")


class Chunks:
    """*text* for a parser that wants a `read`; raises Broken at a character that it would choke on."""

    def __init__(self, text: TextIO) -> None:
        self._text = text
        self._number = 1
        self._size = 0

    def begin(self) -> None:
        """A new row or setting begins about here."""
        self._size = 0

    def read(self, size: int = HEAD, /) -> str:
        """Return at most *size* characters, none at the end."""
        chunk = self._text.read(size)
        self._size += len(chunk)
        if self._size > RECORD_LIMIT + 2 * HEAD:
            raise Broken(self._number, f"a row or a setting of more than {RECORD_LIMIT:,} characters")
        if bad := _UNREADABLE.search(chunk):
            number = self._number + chunk.count("\n", 0, bad.start())
            raise Broken(number, f"holds the control character {bad[0]!r}: the file is damaged, or not text")
        self._number += chunk.count("\n")
        return chunk


def read_start(path: Path) -> bytes:
    """Return the first HEAD bytes of *path*, unpacked. Raises OSError."""
    with open_unpacked(path) as file:
        return file.read(HEAD)


def explain_undecodable(path: Path, encoding: str | None) -> Broken:
    """Return what to tell about a file that is not in *encoding*: in which line, and what it looks like."""
    line, sample = _find_undecodable(path, encoding or "utf-8")
    likely = encodings.guess_encoding(sample)
    return Broken(line, name_encoding(encoding or "UTF-8", likely, encodings.words_in(sample, likely)))


def name_encoding(wanted: str, likely: str, words: str = "") -> str:
    """Return the message for text that is not in the encoding *wanted* and looks like *likely*.

    *words*: some of those that it gives, for a person to judge the guess by.
    """
    if likely.lower() == wanted.lower():
        return f'not {wanted}: damaged here, or in yet another encoding; save as "CSV UTF-8"'
    shown = f", which gives {words}" if words else ""
    return (
        f'not {wanted} (looks like {likely}{shown}): save as "CSV UTF-8" or add --encoding {likely.lower()}'
    )


def _find_undecodable(path: Path, encoding: str) -> tuple[int, bytes]:
    """Return the first line that is not in *encoding*, and bytes from there on."""
    # Only here are lines split as bytes, so an encoding whose line ends have several bytes has no number.
    with open_unpacked(path) as file:
        for number, line in enumerate(iter(lambda: file.readline(RECORD_LIMIT), b""), 1):
            if encodings.decode_sample(line, encoding, whole=True) is None:
                return (number if _splits_by_byte(encoding) else 0), line + file.read(HEAD)
    return 0, b""


def _splits_by_byte(encoding: str) -> bool:
    return "\n".encode(encoding) == b"\n"
