"""The secrets' place in what a service says: marked before anything is read, shown or written down."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections import OrderedDict
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import unquote

import httpx

from batchfill.domain.token import NO_EXTRAS, SHORTEST_SECRET, Token
from batchfill.errors import BatchfillError
from batchfill.providers.error_text import parse_json
from batchfill.providers.wire.signed_addresses import holds_signature, mark_signatures

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence

    from batchfill.domain.token import ExtraSecrets

_Done = TypeVar("_Done")

MARK = "***"
"""What is written where the token was."""

SHORTEST_PAIR = 5
"""Characters of `name=value` in a base's query that are looked for in texts."""

KEPT = 4096
"""Addresses that are remembered as the service gave them."""

LONGEST = 10_000
"""Characters of an address that is remembered."""

_ADDRESSES = ("http://", "https://", "/", "./", "../")
_TIMES = 4
"""How often a text may have been escaped."""

_NAMED = {"amp": "&", "lt": "<", "gt": ">", "quot": '"', "apos": "'"}
"""What HTML has a name for."""

_ESCAPED = re.compile(
    rb'%([0-9a-fA-F]{2})|\\(?:u00([0-9a-fA-F]{2})|(["\\/]))'
    rb"|&(?:#0{0,5}(\d{2,3});?|#[xX]0{0,5}([0-9a-fA-F]{2});?|(amp|lt|gt|quot|apos);)"
)
_GAPS = r"(?:\s|\\{1,8}[rnt]|%(?:25){0,3}(?:0[aAdD9]|20))*"
"""What may stand between two characters of a long text in base64 or hexadecimal digits: mail breaks lines."""

_ALIKE = {"+": "-", "-": "+", "/": "_", "_": "/"}
"""Base64 has two alphabets."""
_FOLDED = bytes.maketrans(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ-_", b"abcdefghijklmnopqrstuvwxyz+/")


class Redaction:
    """Marks the token in a service's answers, and remembers the addresses that held it.

    In bodies it marks the queries of addresses that a run has signed, too: who has one can read the picture.
    The token is found as it is, percent-encoded, escaped as JSON or HTML do it, in base64 (alone, or in a
    longer text such as `Bearer TOKEN`) and in hexadecimal digits, both of them broken into lines or not; in
    capital and small letters. The same goes for the values of further headers and of the base's query.
    """

    __slots__ = ("_given", "_holds", "_mark")

    def __init__(self, token: Token | None = None, extras: ExtraSecrets = NO_EXTRAS) -> None:
        """*token*: None where nothing is to be marked."""
        plain = [] if token is None else list(_secrets_of(token, extras))
        coded = [code for secret in plain for code in _codings(secret)]
        self._holds, self._mark = _finder(plain, coded), _marker(plain, coded)
        self._given: OrderedDict[str, Token] = OrderedDict()

    def text(self, text: str) -> str:
        """Return *text* with each token in it marked."""
        return self._mark(text) if self._holds(text.encode("utf-8", "replace")) else text

    def headers(self, headers: httpx.Headers) -> httpx.Headers:
        """Return *headers* with each token in their names and values marked."""
        told = headers.multi_items()
        # All together first: nearly none holds any.
        if not self._holds("\n".join(map("\n".join, told)).encode("utf-8", "replace")):
            return headers
        marked = [(self.text(name), self.text(value)) for name, value in told]
        return httpx.Headers(marked, encoding="utf-8")

    def body(self, body: bytes) -> bytes:
        """Return an answer's *body* with each token and signature in it marked; JSON stays JSON."""
        holds, signed = self._holds(body), holds_signature(body)
        if not holds and not signed and MARK.encode() not in body:
            return body
        try:
            return json.dumps(self._value(parse_json(body))).encode()
        except (ValueError, RecursionError):
            text = body.decode("latin-1")
            return mark_signatures(self._mark(text) if holds else text, MARK).encode("latin-1")

    def given(self, address: str) -> str | None:
        """Return *address* as the service gave it; None when it held a secret and is forgotten."""
        if MARK not in address or not address.startswith(_ADDRESSES):
            return address
        known = self._given.get(address)
        return None if known is None else known.reveal()

    def rewritten(self, address: str, rewrite: Callable[[str], str]) -> str:
        """Return *address* as *rewrite* makes it, and remember that as the service gave it too."""
        made, given = rewrite(address), self.given(address)
        if MARK in made and made != address and given is not None:
            self._remember(made, rewrite(given))
        return made

    async def in_errors(self, work: Awaitable[_Done]) -> _Done:
        """Return what comes of *work*. An error of ours leaves it alone, with each token in its words marked.

        What it came of, and its traceback, hold addresses as the service gave them.
        """
        try:
            return await work
        except BatchfillError as error:
            failure = type(error).__new__(type(error))
            failure.__dict__.update(error.__dict__)
            failure.args = tuple(self.text(part) if isinstance(part, str) else part for part in error.args)
        raise failure

    def _value(self, value: Any) -> Any:
        """Return a JSON value with each secret marked, at any depth, in names too."""
        if isinstance(value, str):
            return self._address(value) if value.startswith(_ADDRESSES) else self._marked(value)
        if isinstance(value, list):
            return [self._value(item) for item in value]
        if isinstance(value, dict):
            return {self._marked(name): self._value(item) for name, item in value.items()}
        return value

    def _marked(self, text: str) -> str:
        return mark_signatures(self.text(text), MARK)

    def _address(self, address: str) -> str:
        marked = self._marked(address)
        # An address that holds the mark anyway is remembered too: nothing has to be asked for again.
        if MARK in marked and len(address) <= LONGEST:
            self._remember(marked, address)
        return marked

    def _remember(self, marked: str, address: str) -> None:
        self._given[marked] = Token(address)
        self._given.move_to_end(marked)
        if len(self._given) > KEPT:
            self._given.popitem(last=False)


def _secrets_of(token: Token, extras: ExtraSecrets) -> list[str]:
    """Return the texts to look for, each once, the longest first: one may be a part of another."""
    found = {token.reveal()}
    for header in extras.headers.values():
        # `Bearer SECRET` may come back as `SECRET`.
        words = {word for word in header.reveal().split() if len(word) >= SHORTEST_SECRET}
        found |= words or {header.reveal()}
    if extras.query is not None:
        query = extras.query.reveal()
        # Short values show by what stands before them.
        pairs = {pair for pair in query.split("&") if len(pair) >= SHORTEST_PAIR}
        values = {unquote(pair.partition("=")[2]) for pair in pairs}
        return _longest_first(pairs | {one for one in found | values if len(one) >= SHORTEST_SECRET})
    return _longest_first(one for one in found if len(one) >= SHORTEST_SECRET)


def _longest_first(found: Iterable[str]) -> list[str]:
    return sorted(found, key=len, reverse=True)


def _codings(secret: str) -> Iterator[str]:
    """Yield the hexadecimal and base64 texts that hold *secret*."""
    plain = secret.encode()
    yield plain.hex()
    for before in range(3):
        # In base64 of a longer text it begins at one of three places; the characters at both ends also hold
        # bits of what is before and behind.
        text = b64encode(bytes(before) + plain).decode()
        yield text[-(-before * 8 // 6) : (before + len(plain)) * 8 // 6]


def _finder(plain: Iterable[str], coded: Iterable[str]) -> Callable[[bytes], bool]:
    """Return what tells quickly, for megabytes too, whether a text holds *plain*, or *coded* in lines."""
    whole = [text.encode().translate(_FOLDED) for text in plain]
    broken = [text.encode().translate(_FOLDED) for text in coded]

    def holds(text: bytes) -> bool:
        for _ in range(_TIMES if whole else 0):
            folded = text.translate(_FOLDED)
            if any(one in folded for one in whole):
                return True
            joined = _joined(folded)
            if any(one in joined for one in broken):
                return True
            unescaped = _ESCAPED.sub(_character, text)
            if unescaped == text:
                return False
            text = unescaped
        return False

    return holds


def _joined(text: bytes) -> bytes:
    """Return *text* without what breaks it into lines, as it is or escaped."""
    joined = text.translate(None, b" \t\r\n")
    if b"\\" not in joined:
        return joined
    return joined.replace(b"\\r", b"").replace(b"\\n", b"").replace(b"\\", b"")


def _marker(plain: Sequence[str], coded: Sequence[str]) -> Callable[[str], str]:
    """Return what marks *plain* and *coded* in a text that holds one."""

    # Inside a function, since a pattern shows what it looks for; and not before it is needed, since it takes
    # as long to compile as a small command runs.
    @cache
    def pattern() -> re.Pattern[str]:
        ways = ["".join(map(_ways, text)) for text in plain]
        ways += [_GAPS.join(map(_ways, text)) for text in coded]
        return re.compile("|".join(ways))

    def mark(text: str) -> str:
        marked, found = pattern().subn(MARK, text)
        return marked if found else MARK

    return mark


def _character(escaped: re.Match[bytes]) -> bytes:
    percent, json_code, itself, decimal, html_code, named = escaped.groups()
    if itself:
        return itself
    if named:
        return _NAMED[named.decode()].encode()
    number = int(decimal) if decimal else int(percent or json_code or html_code, 16)
    return bytes([number]) if number < 256 else escaped[0]


def _ways(character: str) -> str:
    """Return a pattern of all ways to write *character*."""
    alike = sorted({character.lower(), character.upper(), _ALIKE.get(character, character)})
    return f"(?:{'|'.join(way for one in alike for way in _ways_of_one(one))})"


def _ways_of_one(character: str) -> Iterator[str]:
    number = f"{ord(character):02x}"
    code = "".join(f"[{digit}{digit.upper()}]" for digit in number)
    yield re.escape(character)
    yield f"%(?:25){{0,3}}{code}"
    yield rf"\\{{1,8}}u00{code}"
    yield f"&(?:amp;){{0,3}}#(?:0{{0,5}}{ord(character)}|[xX]0{{0,5}}{code});?"
    yield from (f"&(?:amp;){{0,3}}{name};" for name, named in _NAMED.items() if named == character)
    if character in '\\/"':
        yield rf"\\{{1,8}}{re.escape(character)}"
