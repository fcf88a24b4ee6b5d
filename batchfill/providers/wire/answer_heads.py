"""Heads of answers that break the rules of HTTP, mended before they are parsed.

The parser refuses an answer for a space in a header's name. What it refuses may be the one answer to a create
that was paid for, so what curl takes is taken here.
"""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Any

import aiohttp
from aiohttp.client_proto import ResponseHandler

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterable, Iterator

LONGEST_HEAD = 300 * 1024
"""Bytes of a head, as curl takes them."""

MOST_FIELDS = 5000
"""Fields of a head, as curl takes them."""

_END = re.compile(rb"\r?\n\r?\n")
_STATUS = re.compile(rb"HTTP/(\d)(?:\.(\d))?\s+(\d{3})(?:\s+(.*))?", re.DOTALL)
_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_UNPRINTABLE = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")

Field = tuple[bytes, bytes]


def mend_head(head: bytes) -> bytes:
    """Return *head*, of an answer, with its blank line: as it is, but for what a strict parser refuses."""
    first, *rest = re.split(rb"\r?\n", head.rstrip(b"\r\n"))
    fields = list(_frame(list(_read_fields(rest))))
    lines = [_mend_status(first), *(name + b": " + value for name, value in fields)]
    return b"\r\n".join(lines) + b"\r\n\r\n"


def _mend_status(line: bytes) -> bytes:
    match = _STATUS.fullmatch(line.strip())
    if match is None:
        return line
    version = b"1.0" if match[1] == b"1" and match[2] == b"0" else b"1.1"
    return b"HTTP/%b %b %b" % (version, match[3], _UNPRINTABLE.sub(b" ", match[4] or b""))


def _read_fields(lines: Iterable[bytes]) -> Iterator[Field]:
    """Give each field that has a usable name; a line that begins with a space goes on with the one before."""
    found: list[Field] = []
    for line in lines:
        name, colon, value = line.partition(b":")
        if line[:1] in b" \t" and found:
            found[-1] = found[-1][0], found[-1][1] + b" " + line.strip()
        elif colon and _NAME.fullmatch(name.strip()):
            found.append((name.strip(), value.strip()))
    for name, value in found:
        yield name, _UNPRINTABLE.sub(b" ", value)


def _frame(fields: list[Field]) -> Iterator[Field]:
    """Give *fields* with one Content-Length at most, and none next to chunks."""
    chunked = any(
        name.lower() == b"transfer-encoding" and b"chunked" in value.lower() for name, value in fields
    )
    lengths = [value for name, value in fields if name.lower() == b"content-length"]
    told = {part.strip() for value in lengths for part in value.split(b",")}
    numbers = {int(part) for part in told if part.isdigit()}
    yield from ((name, value) for name, value in fields if name.lower() != b"content-length")
    if numbers and not chunked:
        # Of several the longest: what comes after a shorter end would be lost.
        yield b"Content-Length", str(max(numbers)).encode()


class LenientHandler(ResponseHandler):
    """Hands each answer to the parser with its head mended."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self._head: bytearray | None = None
        """What has come of a head; None: its end was seen."""

    def set_response_params(self, **given: Any) -> None:
        """Begin a new answer."""
        self._head = bytearray()
        super().set_response_params(**given)

    def data_received(self, data: bytes) -> None:
        """Take what came: of a head only once it is all there."""
        if self._head is None or not data:
            super().data_received(data)
            return
        self._head += data
        while self._head is not None and (end := _END.search(self._head)):
            head, rest = bytes(self._head[: end.end()]), self._head[end.end() :]
            # After an interim answer the next head follows.
            interim = re.match(rb"HTTP/\S+\s+1(?!01)\d\d\b", head) is not None
            self._head = rest if interim else None
            super().data_received(mend_head(head) + (b"" if interim else bytes(rest)))
        if self._head is not None and (
            len(self._head) > LONGEST_HEAD or not b"HTTP/".startswith(self._head[:5])
        ):
            self._pass_on()

    def eof_received(self) -> None:
        """Give the parser what came of a head that has no end."""
        self._pass_on()
        super().eof_received()

    def _pass_on(self) -> None:
        head, self._head = self._head, None
        if head:
            super().data_received(bytes(head))


class LenientConnector(aiohttp.TCPConnector):
    """Connections whose answers are read leniently."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        # What makes the protocol of each connection; there is no public way to name another.
        self._factory = partial(LenientHandler, loop=self._loop)  # type: ignore[assignment]
