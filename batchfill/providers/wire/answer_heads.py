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

from batchfill.providers.wire.answer_bodies import ChunkedBody, CountedBody

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterable, Iterator

    from batchfill.providers.wire.answer_bodies import Body

LONGEST_HEAD = 300 * 1024
"""Bytes of a head, as curl takes them."""

MOST_FIELDS = 5000
"""Fields of a head, as curl takes them."""

_END = re.compile(rb"\r?\n\r?\n")
_STATUS = re.compile(rb"HTTP/(\d)(?:\.(\d))?\s+(\d{3})(?:\s+(.*))?", re.DOTALL | re.IGNORECASE)
_INTERIM = re.compile(rb"HTTP/\S+\s+1(?!01)\d\d\b", re.IGNORECASE)
_WITHOUT_BODY = re.compile(rb"HTTP/\S+ (?:1\d\d|204|304) ")
_SOUND = re.compile(
    rb"HTTP/1\.[01] \d{3}(?: [^\x00-\x08\x0a-\x1f\x7f]*)?\r\n"
    rb"(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+:[^\x00-\x08\x0a-\x1f\x7f]*\r\n)*\r\n"
)
"""A head that a strict parser takes, but for what it says of its body."""
_FRAMED = re.compile(rb"\r\n(?:Transfer-Encoding|Content-Length):", re.IGNORECASE)
_FRAMING = re.compile(
    rb"\r\n(?:Transfer-Encoding:[ \t]*(chunked)|Content-Length:[ \t]*(\d+))[ \t]*(?=\r\n)", re.IGNORECASE
)
_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_UNPRINTABLE = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")

_OF_THE_WAY = (b"transfer-encoding", b"content-length")

Field = tuple[bytes, bytes]


def mend_head(head: bytes) -> bytes:
    """Return *head*, of an answer, with its blank line: as it is, but for what a strict parser refuses."""
    if _SOUND.fullmatch(head) and len(_FRAMED.findall(head)) == len(_FRAMING.findall(head)) <= 1:
        return head
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
    """Give *fields* with one Content-Length at most, and none next to chunks.

    What is packed for the way only (`Transfer-Encoding: gzip, chunked`) is told as a packed body is.
    """
    yield from ((name, value) for name, value in fields if name.lower() not in _OF_THE_WAY)
    codings = [word.partition(b";")[0].strip() for word in _words(fields, b"transfer-encoding")]
    if packed := [word for word in codings if word not in (b"", b"chunked", b"identity")]:
        yield b"Content-Encoding", b", ".join(packed)
    numbers = {int(word) for word in _words(fields, b"content-length") if word.isdigit()}
    if b"chunked" in codings:
        yield b"Transfer-Encoding", b"chunked"
    elif numbers:
        # Of several the longest: what comes after a shorter end would be lost.
        yield b"Content-Length", str(max(numbers)).encode()


def _words(fields: Iterable[Field], name: bytes) -> list[bytes]:
    """Return the words of all fields of this *name*, in lower case, which are parted by commas."""
    values = (value for found, value in fields if found.lower() == name)
    return [word.strip().lower() for value in values for word in value.split(b",")]


def _await_body(head: bytes) -> Body | None:
    """Return the body that a mended *head* announces; None: none, or all that comes."""
    framing = _FRAMING.search(head)
    if framing is None or _WITHOUT_BODY.match(head):
        return None
    return ChunkedBody() if framing[1] else CountedBody(int(framing[2]))


class LenientHandler(ResponseHandler):
    """Hands each answer to the parser with its head mended, and with nothing behind its end."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self._head: bytearray | None = None
        """What has come of a head; None: its end was seen."""
        self._body: Body | None = None
        self._bodiless = False

    def set_response_params(self, *, skip_payload: bool = False, **given: Any) -> None:
        """Begin a new answer; *skip_payload*: one that has a head only."""
        self._head, self._body, self._bodiless = bytearray(), None, skip_payload
        super().set_response_params(skip_payload=skip_payload, **given)

    def data_received(self, data: bytes) -> None:
        """Take what came: of a head only once it is all there."""
        if self._head is None or not data:
            self._take_body(data)
            return
        self._head += data
        while self._head is not None and (end := _END.search(self._head)):
            head, rest = mend_head(bytes(self._head[: end.end()])), self._head[end.end() :]
            # After an interim answer the next head follows.
            interim = _INTERIM.match(head) is not None
            self._head = rest if interim else None
            self._body = None if interim or self._bodiless else _await_body(head)
            super().data_received(head)
            if rest and not interim:
                self._take_body(bytes(rest))
        if self._head is not None and (
            len(self._head) > LONGEST_HEAD or not b"HTTP/".startswith(self._head[:5].upper())
        ):
            self._pass_on()

    def eof_received(self) -> None:
        """Give the parser what came of a head that has no end."""
        self._pass_on()
        super().eof_received()

    def set_exception(self, exc: BaseException, *cause: BaseException) -> None:
        """Tell it to who reads the body too: a parser that refuses a part of it forgets that there is one."""
        body = self._payload
        super().set_exception(exc, *cause)
        if body is not None and not body.is_eof() and body.exception() is None:
            known = isinstance(exc, aiohttp.ClientError)
            body.set_exception(exc if known else aiohttp.ClientPayloadError(str(exc)), *cause)

    def _take_body(self, data: bytes) -> None:
        body = self._body
        taken = data if body is None or not data else body.take(data)
        if taken or not data:
            super().data_received(taken)
        if body is not None and body.overrun and self.transport is not None:
            # The answer is whole. What the next one would begin with is not known.
            self.force_close()
            self.transport.close()

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
