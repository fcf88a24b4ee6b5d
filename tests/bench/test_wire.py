"""Requests are taken whole, one after the other, and what is none is refused."""

from __future__ import annotations

import pytest

from tests.bench.wire import Answer, Garbled, take_request, written

WHOLE = b"POST /v1/a?x=1&y=b%20c HTTP/1.1\r\nHost: h\r\ncontent-length: 4\r\n\r\nbody"


def test_a_request_is_taken_once_it_is_whole() -> None:
    heard = bytearray()
    for byte in WHOLE[:-1]:
        heard.append(byte)
        assert take_request(heard) is None
    heard += WHOLE[-1:] + b"GET / HTTP"
    assert take_request(heard) == ("POST", "/v1/a", {"x": "1", "y": "b c"}, b"body")
    assert heard == b"GET / HTTP"


@pytest.mark.parametrize("line", [b"hello", b"GET / HTTP/1.0", b"GET http://h/ HTTP/1.1"])
def test_another_protocol_is_garbled(line: bytes) -> None:
    with pytest.raises(Garbled):
        take_request(bytearray(line + b"\r\n\r\n"))


def test_a_body_of_unknown_length_is_garbled() -> None:
    with pytest.raises(Garbled):
        take_request(bytearray(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"))


def test_an_answer_is_dated_and_says_how_long_it_is() -> None:
    head, _, body = written(Answer(429, b"{}", headers={"Retry-After": "3"})).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 429 Too Many Requests\r\nDate: ")
    assert b"\r\nContent-Length: 2\r\nRetry-After: 3" in head
    assert body == b"{}"
