"""Where the body of an answer ends, by its head: chunks are given by the rules, nothing comes behind.

The parser refuses an answer for a chunk's line that ends with LF alone, or for a byte behind its end. So the
answer to a create that was paid for would be lost with the picture.
"""

from __future__ import annotations

import re
from typing import Protocol

LONGEST_LINE = 64 * 1024
"""Bytes of the line before a chunk, or of a line behind the last one."""

_SIZE = re.compile(rb"[ \t]*([0-9A-Fa-f]{1,16})[ \t]*(?:;.*)?\r?\n", re.DOTALL)
_BLANK = re.compile(rb"\r?\n")
_LINE = re.compile(rb"[^\n]*\n")
_BEGUN = {
    _SIZE: re.compile(rb"[ \t]*[0-9A-Fa-f]{0,16}|[ \t]*[0-9A-Fa-f]{1,16}[ \t]*(?:;.*)?\r?", re.DOTALL),
    _BLANK: re.compile(rb"\r?"),
    _LINE: re.compile(rb"[^\n]*"),
}
"""What has come of a line that may still become one of these."""


class Body(Protocol):
    """The body of one answer, as its bytes come."""

    ended: bool
    """Whether all of it came."""
    overrun: bool
    """Whether more came."""

    def take(self, data: bytes) -> bytes:
        """Return what of *data* the parser gets."""


class CountedBody:
    """As many bytes as Content-Length says."""

    def __init__(self, length: int) -> None:
        self._left = length
        self.ended = length == 0
        self.overrun = False

    def take(self, data: bytes) -> bytes:
        """Return what of *data* the parser gets."""
        self.overrun = self.overrun or len(data) > self._left
        taken = data[: self._left]
        self._left -= len(taken)
        self.ended = self._left == 0
        return taken


class ChunkedBody:
    """Chunks, each behind its size in hexadecimal digits; one of no bytes is the last."""

    def __init__(self) -> None:
        self.ended = False
        self.overrun = False
        self._next = _SIZE
        """What the line that is awaited looks like."""
        self._line = b""
        """What came of it."""
        self._left = 0
        """Bytes of the chunk that are still to come."""
        self._broken = False

    def take(self, data: bytes) -> bytes:
        """Return what of *data* the parser gets; all of it from where it makes no sense."""
        taken = []
        while data and not self.ended and not self._broken:
            if self._left:
                taken.append(data[: self._left])
                data = data[self._left :]
                self._left -= len(taken[-1])
            else:
                line, data = self._read_line(data)
                taken.append(line)
        self.overrun = self.overrun or (self.ended and bool(data))
        return b"".join(taken) + (data if self._broken else b"")

    def _read_line(self, data: bytes) -> tuple[bytes, bytes]:
        """Return what the parser gets for the awaited line once it is whole, and the rest of *data*."""
        line, end, rest = data.partition(b"\n")
        self._line += line + end
        if not end and len(self._line) <= LONGEST_LINE and _BEGUN[self._next].fullmatch(self._line):
            return b"", b""
        line, self._line = self._line, b""
        match = self._next.fullmatch(line)
        if match is None:
            self._broken = True
            return line, rest
        return self._go_on(match), rest

    def _go_on(self, line: re.Match[bytes]) -> bytes:
        if self._next is _SIZE:
            self._left = int(line[1], 16)
            self._next = _BLANK if self._left else _LINE
            # The last one is told once the lines behind it came: before, the connection is not free.
            return b"%x\r\n" % self._left if self._left else b""
        if self._next is _BLANK:
            self._next = _SIZE
            return b"\r\n"
        self.ended = _BLANK.fullmatch(line[0]) is not None
        return b"0\r\n\r\n" if self.ended else b""
