"""HTTP/1.1 as far as the service speaks it: whole requests in, whole answers out, over kept connections."""

from __future__ import annotations

import asyncio
import re
from email.utils import formatdate
from typing import TYPE_CHECKING, NamedTuple, cast
from urllib.parse import parse_qsl

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

JSON = "application/json"

_LINE = re.compile(rb"([A-Z]+) (/[!-~]*) HTTP/1\.1\r\n")
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d{1,9}) *\r\n", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding:", re.IGNORECASE)
_PHRASES = {
    200: "OK",
    201: "Created",
    404: "Not Found",
    422: "Unprocessable Entity",
    429: "Too Many Requests",
}


class Garbled(Exception):
    """What came is no request that the service understands."""


class Request(NamedTuple):
    """One request."""

    method: str
    path: str
    query: Mapping[str, str]
    body: bytes


class Answer(NamedTuple):
    """One answer."""

    status: int
    body: bytes
    kind: str = JSON
    """Its media type."""
    headers: Mapping[str, str] = {}


class Connection(asyncio.Protocol):
    """One client's connection: every request is answered as soon as it is there, in order."""

    def __init__(self, answer: Callable[[Request], Answer]) -> None:
        self._answer = answer
        self._heard = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way back."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Answer what is whole; hang up on what is no request."""
        self._heard += data
        try:
            while (request := take_request(self._heard)) is not None:
                self._transport.write(written(self._answer(request)))
        except Garbled:
            self._transport.close()


def take_request(heard: bytearray) -> Request | None:
    """Take the first request off *heard*; None while it is not all there. Raises Garbled."""
    end = heard.find(b"\r\n\r\n")
    if end < 0:
        return None
    head = bytes(heard[: end + 2])
    line, length = _LINE.match(head), _LENGTH.search(head)
    if line is None or _CHUNKED.search(head):
        raise Garbled
    begin, size = end + 4, int(length[1]) if length else 0
    if len(heard) < begin + size:
        return None
    body = bytes(heard[begin : begin + size])
    del heard[: begin + size]
    path, _, query = line[2].decode("ascii").partition("?")
    return Request(line[1].decode("ascii"), path, dict(parse_qsl(query)), body)


def written(answer: Answer) -> bytes:
    """Return *answer* as it goes over the wire, dated."""
    lines = [
        f"HTTP/1.1 {answer.status} {_PHRASES[answer.status]}",
        f"Date: {formatdate(usegmt=True)}",
        f"Content-Type: {answer.kind}",
        f"Content-Length: {len(answer.body)}",
        *(f"{name}: {text}" for name, text in answer.headers.items()),
    ]
    return "\r\n".join([*lines, "", ""]).encode("ascii") + answer.body
