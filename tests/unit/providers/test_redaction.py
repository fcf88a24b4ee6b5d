"""The token's place in what a service says."""

from __future__ import annotations

import json
from base64 import b64encode, urlsafe_b64encode
from html import escape
from pathlib import Path
from traceback import TracebackException
from typing import TYPE_CHECKING
from urllib.parse import quote

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batchfill.domain.token import SHORTEST_SECRET, ExtraSecrets, Token
from batchfill.errors import TransientError
from batchfill.providers.redaction import KEPT, MARK, Redaction

if TYPE_CHECKING:
    from collections.abc import Callable

SECRET = "r8_Sec+ret/01?=&[x]"

tokens = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=SHORTEST_SECRET, max_size=60)


def percent(text: str) -> str:
    return "".join(f"%{ord(c):02x}" for c in text)


def in_lines(text: str, end: str) -> str:
    """Return *text* in lines of eight characters, as mail breaks lines of 76."""
    return end.join(text[at : at + 8] for at in range(0, len(text), 8))


WAYS: dict[str, Callable[[str], str]] = {
    "as it is": lambda text: text,
    "in capitals": str.upper,
    "percent-encoded": lambda text: quote(text, safe=""),
    "percent-encoded in small letters": percent,
    "percent-encoded twice": lambda text: quote(percent(text)),
    "escaped as JSON": lambda text: json.dumps(text)[1:-1],
    "escaped as JSON inside JSON": lambda text: json.dumps(json.dumps(text))[1:-1],
    "by JSON's numbers": lambda text: "".join(f"\\u{ord(c):04X}" for c in text),
    "with slashes escaped": lambda text: text.replace("/", "\\/"),
    "escaped as HTML": escape,
    "by HTML's numbers": lambda text: "".join(f"&#{ord(c)};" for c in text),
    "by HTML's other numbers": lambda text: "".join(f"&#x{ord(c):X};" for c in text),
    "escaped as HTML inside HTML": lambda text: escape(escape(text)),
    "in hexadecimal digits": lambda text: text.encode().hex(),
    "in base64": lambda text: b64encode(text.encode()).decode(),
    "in base64 as a bearer": lambda text: b64encode(f"Bearer {text}".encode()).decode(),
    "in base64 as a password": lambda text: b64encode(f"me:{text}".encode()).decode(),
    "in base64 of JSON": lambda text: b64encode(json.dumps({"key": "ab", "t": text}).encode()).decode(),
    "in base64 for addresses": lambda text: urlsafe_b64encode(f"u1:{text}:x".encode()).decode(),
    "in base64 broken into lines": lambda text: in_lines(
        b64encode(f"Bearer {text}".encode()).decode(), "\r\n"
    ),
    "in base64 in lines, as JSON": lambda text: in_lines(b64encode(text.encode()).decode(), "\\n"),
    "in hexadecimal digits with spaces": lambda text: text.encode().hex(" "),
    "in base64, percent-encoded": lambda text: quote(b64encode(text.encode()).decode(), safe=""),
}
PLAIN = [way for way in WAYS if "base64 of JSON" not in way]
"""Base64 of a text that is escaped holds the token only where nothing in it had to be."""


@pytest.mark.parametrize("way", WAYS)
def test_the_token_is_marked_however_it_is_written(way: str) -> None:
    written = WAYS[way](SECRET)
    marked = Redaction(Token(SECRET)).text(f"key {written} is wrong")
    assert MARK in marked
    assert marked.startswith("key ")
    assert marked.endswith(" is wrong")
    assert written[6:-6] not in marked


@given(token=tokens, way=st.sampled_from(PLAIN), before=st.text(max_size=9), behind=st.text(max_size=9))
def test_every_token_is_marked_in_every_spelling(token: str, way: str, before: str, behind: str) -> None:
    written = WAYS[way](token)
    marked = Redaction(Token(token)).text(f"{before} {written} {behind}")
    assert MARK in marked
    assert token not in marked.replace(MARK, "\0")
    assert written not in marked or len(written) <= len(MARK)


@given(token=tokens, text=st.text(max_size=200))
def test_a_text_without_the_token_stays_as_it_is(token: str, text: str) -> None:
    redaction = Redaction(Token(token))
    # Digits and letters of other alphabets are in no token, and in none of its spellings.
    other = text.translate(dict.fromkeys(range(33, 127)))
    assert redaction.text(other) == other
    assert redaction.body(other.encode("utf-8", "replace")) == other.encode("utf-8", "replace")


# A pattern of each token takes long to compile.
@settings(max_examples=30)
@given(
    token=tokens,
    value=st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.just("TOKEN"),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
        max_leaves=10,
    ),
)
def test_json_stays_json_and_keeps_its_shape(token: str, value: object) -> None:
    text = json.dumps({"x": value, "y": "TOKEN"}).replace('"TOKEN"', json.dumps(token))
    body = Redaction(Token(token)).body(text.encode())
    marked = json.loads(body)
    assert token not in body.decode().replace(MARK, "\0")
    assert marked["y"] == MARK
    assert marked.keys() == {"x", "y"}


@pytest.mark.parametrize("token", ["", "x", "test", "1234567"])
def test_a_token_that_is_too_short_to_be_a_secret_spoils_no_text(token: str) -> None:
    redaction = Redaction(Token(token))
    said = f"the {token} failed: {token}"
    assert redaction.text(said) == said
    assert redaction.body(said.encode()) == said.encode()


def test_nothing_is_marked_where_there_is_no_token() -> None:
    assert Redaction().text("Bearer r8_something") == "Bearer r8_something"


@pytest.mark.parametrize("depth", [10, 400, 600, 950, 200_000])
def test_json_of_any_depth_is_marked(depth: int) -> None:
    body = b'{"a":' * depth + json.dumps(SECRET).encode() + b"}" * depth
    assert json.dumps(SECRET)[1:-1].encode() not in Redaction(Token(SECRET)).body(body)


def test_names_and_values_of_headers_are_marked() -> None:
    told = httpx.Headers([("X-Echo", f"Bearer {SECRET}"), (SECRET, "1"), ("Age", "3")])
    marked = Redaction(Token(SECRET)).headers(told)
    assert marked.multi_items() == [("x-echo", "Bearer ***"), (MARK, "1"), ("age", "3")]


@pytest.mark.parametrize("coding", ["latin-1", "utf-8"])
def test_headers_are_searched_in_the_letters_that_they_are_read_in(coding: str) -> None:
    secret = "geh\u00e4imnis-1234567890"
    told = httpx.Headers([(b"X-Echo", f"Bearer {secret}".encode(coding)), (b"Age", b"3")])
    assert Redaction(Token(secret)).headers(told).multi_items() == [("x-echo", "Bearer ***"), ("age", "3")]


def test_headers_without_a_secret_stay_the_ones_that_came() -> None:
    told = httpx.Headers([("Date", "Mon, 30 Nov 2026 11:00:00 GMT"), ("X-Half", SECRET[:9])])
    assert Redaction(Token(SECRET)).headers(told) is told


def test_headers_are_marked_however_the_token_is_written_in_one_of_them() -> None:
    redaction = Redaction(Token(SECRET))
    for write in WAYS.values():
        # What is around it must not hide it: half an escape, a break of a line, an escape of another kind.
        told = [("link", "a%"), ("x-echo", f"41 {write(SECRET)}&#4"), ("1;via", "\\\\n"), ("age", "3")]
        marked = redaction.headers(httpx.Headers(told, encoding="utf-8")).multi_items()
        assert marked == [(redaction.text(name), redaction.text(value)) for name, value in told]
        assert MARK in marked[1][1]


def test_an_address_that_held_the_token_is_known_again_for_a_while() -> None:
    redaction, address = Redaction(Token(SECRET)), f"https://gw.test/o/p1.webp?token={quote(SECRET, safe='')}"
    body = redaction.body(json.dumps({"output": [address, "https://gw.test/plain"]}).encode())
    marked, plain = json.loads(body)["output"]
    assert marked == "https://gw.test/o/p1.webp?token=***"
    assert (redaction.given(marked), redaction.given(plain)) == (address, plain)
    # Another run was not told of it.
    assert Redaction(Token(SECRET)).given(marked) is None
    for n in range(KEPT):
        redaction.body(json.dumps({"output": f"https://gw.test/{n}?token={SECRET}"}).encode())
    assert redaction.given(marked) is None


def test_an_address_with_stars_of_its_own_is_not_taken_for_a_forgotten_one() -> None:
    redaction, address = Redaction(Token(SECRET)), "https://gw.test/o/***.webp"
    redaction.body(json.dumps({"output": address}).encode())
    assert redaction.given(address) == address


def test_a_picture_inside_an_answer_needs_no_memory() -> None:
    picture = "data:image/png;name=***;base64,AAAA"
    assert Redaction(Token(SECRET)).given(picture) == picture


async def test_an_error_leaves_alone_and_without_the_token() -> None:
    async def fail() -> None:
        address = f"https://gw.test/{SECRET}"
        try:
            Path(address).read_bytes()
        except OSError as error:
            raise TransientError(f"{address} answered 503", wait=7) from error

    with pytest.raises(TransientError) as caught:
        await Redaction(Token(SECRET)).in_errors(fail())
    assert (str(caught.value), caught.value.wait) == ("https://gw.test/*** answered 503", 7)
    shown = TracebackException.from_exception(caught.value, capture_locals=True)
    assert (shown.__cause__, shown.__context__) == (None, None)
    assert "fail" not in [frame.name for frame in shown.stack]


def test_it_shows_neither_token_nor_addresses() -> None:
    redaction = Redaction(Token(SECRET))
    redaction.body(json.dumps([f"https://gw.test/?{SECRET}"]).encode())
    shown = [
        repr(redaction),
        str(redaction),
        *(repr(getattr(redaction, name)) for name in redaction.__slots__),
    ]
    assert not any(SECRET in text for text in shown)


EXTRAS = ExtraSecrets(
    {"cf-aig-authorization": Token("Bearer cf-0123456789"), "x-pass": Token("two words")},
    Token("api-version=2024&key=abc&long=sk%2Fabcdefgh&v=1"),
)


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("Bearer cf-0123456789", "Bearer ***"),
        ("no cf-0123456789 here", "no *** here"),
        ("your two words", "your ***"),
        ("GET /v1/predictions?api-version=2024&key=abc", "GET /v1/predictions?***&***"),
        ("sk/abcdefgh and sk%2fabcdefgh", "*** and ***"),
        (b64encode(b"cf-0123456789").decode(), "***Q=="),
        ("abc, v=1 and 2024", "abc, v=1 and 2024"),
    ],
)
def test_values_of_headers_and_of_the_query_are_marked_as_the_token_is(said: str, shown: str) -> None:
    assert Redaction(Token("r8_something_else"), EXTRAS).text(said) == shown


def test_a_cursor_behind_the_query_of_the_base_can_still_be_followed() -> None:
    following = "https://gw.test/v1/predictions?key=abc&cursor=xyz"
    assert Redaction(Token("r8_something_else"), EXTRAS).text(following).endswith("?***&cursor=xyz")
