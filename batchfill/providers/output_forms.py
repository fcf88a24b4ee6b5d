"""The forms in which services name outputs, read as addresses, data URLs, or what is refused aloud."""

from __future__ import annotations

import base64
import binascii
import json
import re
from enum import IntEnum
from itertools import islice
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

from batchfill.providers import manners
from batchfill.providers.error_text import without_queries

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MOST_NAMED = 1000
"""Outputs of one prediction that are read."""

_DEPTH = 8
"""Lists and objects inside one another that are looked into."""

_HEAD = 64
"""Bytes that tell whether something is a picture."""

_LONGEST_ADDRESS = 10_000
_LONGEST_REMARK = 300

_ADDRESS = re.compile(r"(?:https?://|data:)", re.IGNORECASE)
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*:", re.IGNORECASE)
_BESIDE = re.compile(r"[\s,;]*\s[\s,;]*(?=https?://)", re.IGNORECASE)
_MARKUP = tuple(re.compile(pattern, re.IGNORECASE) for pattern in manners.ADDRESS_MARKUP)
_PICTURE = re.compile(b"|".join(manners.PICTURE_HEADS), re.DOTALL)
_HALF_DATA_URL = re.compile(r"(?:image/[\w.+-]{1,40}(?:;[^,;]{1,40}){0,4};)?base64,", re.IGNORECASE)
_BARE_HOST = re.compile(r"[a-z0-9-]+(?:\.[a-z0-9-]+)*\.[a-z]{2,}(?::\d+)?/", re.IGNORECASE)
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")


class _Trust(IntEnum):
    """How much the place of a text says that it is an output."""

    UNKNOWN_KEY = 0
    """Only what is one beyond doubt counts."""
    KNOWN_KEY = 1
    BASE64_KEY = 2
    OUTPUT = 3
    """Whatever it is, it is one; what cannot be used is refused aloud."""


def find_outputs(prediction: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the outputs that *prediction*, a JSON object, names: absolute and relative addresses, data URLs.

    What stands in an output's place and is none of these is returned as it is.
    """
    if not any(map(prediction.get, manners.OUTPUT_PLACES)):
        return ()  # most that are listed run still
    finder = _Finder(prediction.get("input"))
    for place in manners.OUTPUT_PLACES:
        trust = _Trust.OUTPUT if place == manners.OUTPUT_PLACES[0] else _Trust.KNOWN_KEY
        found = tuple(islice(finder.find(prediction.get(place), trust), MOST_NAMED))
        if found:
            # Nothing but an input, in the documented form: its picture came back unchanged.
            return tuple(one for one in found if one not in finder.inputs) or found
    return ()


def is_address(address: str) -> bool:
    """Whether *address* is a full one, or a data URL."""
    return _ADDRESS.match(address) is not None


def resolve_address(address: str, at: str) -> str:
    """Return *address*, which may be relative, in full; *at* is where the prediction that names it is.

    A gateway behind a proxy that ends TLS names itself by http: its address is the one by https. What is no
    address stays as it is.
    """
    if _BARE_HOST.match(address):
        return f"https://{address}"
    if not _SCHEME.match(address):
        return urljoin(at, address) if _is_relative(address) else address
    named = _by_http(at).match(address) if at.startswith("https:") else None
    return address if named is None else f"https://{urlsplit(at).netloc}{address[named.end() :]}"


def _by_http(at: str) -> re.Pattern[str]:
    """Return what addresses of *at*'s own origin begin with where they name it by http."""
    place = urlsplit(at)
    host = re.escape(place.netloc.removesuffix(f":{place.port}"))
    return re.compile(rf"http://{host}(?::(?:80|{place.port or 80}))?(?=[/?#]|$)", re.IGNORECASE)


def is_picture(head: bytes) -> bool:
    """Whether the first bytes are those of a picture."""
    return _PICTURE.match(head) is not None


def safety_remark(prediction: Mapping[str, Any]) -> str | None:
    """Return the service's own words, one line, that its filter left a picture out; None: it says none."""
    for place in ("error", "output", "logs", "message"):
        text = prediction.get(place)
        if not text or not isinstance(text, str):
            continue
        for line in reversed(text.splitlines()[-50:]):
            if any(word in line.lower() for word in manners.SAFETY_WORDS):
                return without_queries(line).strip()[:_LONGEST_REMARK]
    return None


class _Finder:
    """Finds outputs at any depth of a JSON value."""

    def __init__(self, given: Any) -> None:
        """*given*: the prediction's input, as echoed: what an object names that was sent is no output."""
        values = given.values() if isinstance(given, dict) else ()
        self.inputs = frozenset(value for value in values if isinstance(value, str))

    def find(self, value: Any, trust: _Trust, depth: int = _DEPTH) -> Iterator[str]:
        """Yield the outputs in *value*, of lists and objects as many inside one another as *depth*."""
        if isinstance(value, str):
            yield from self._of_text(value, trust, depth)
        elif depth and isinstance(value, list):
            for item in value:
                yield from self.find(item, trust, depth - 1)
        elif depth and isinstance(value, dict):
            yield from self._of_object(value, depth - 1)

    def _of_object(self, value: Mapping[str, Any], depth: int) -> Iterator[str]:
        by_name = {"".join(_words(key)): item for key, item in reversed([*value.items()])}
        for name in manners.PICTURE_KEYS:
            trust = _Trust.BASE64_KEY if name in manners.BASE64_KEYS else _Trust.KNOWN_KEY
            found = [*islice(self.find(by_name.get(name), trust, depth), MOST_NAMED)]
            if found:
                yield from found
                return
        for key, item in value.items():
            if not manners.NO_OUTPUTS & {*_words(key)}:
                yield from self.find(item, _Trust.UNKNOWN_KEY, depth)

    def _of_text(self, text: str, trust: _Trust, depth: int) -> Iterator[str]:
        text = text.strip().strip("\"'").encode("utf-8", "replace").decode()
        if text and text[0] in "[{" and (inner := _parsed(text)) is not None:
            yield from self.find(inner, trust, depth - 1) if depth else ()
            return
        for address in _addresses(text, trust):
            if trust is _Trust.OUTPUT or address not in self.inputs:
                yield address


def _words(key: str) -> list[str]:
    return [word.lower() for word in _WORD.findall(key[:100])]


def _addresses(text: str, trust: _Trust) -> list[str]:
    """Return the outputs that a text is, or that stand in it."""
    if _ADDRESS.match(text):
        return [text] if text[:5].lower() == "data:" else _BESIDE.split(text)
    if marked := _marked_up(text):
        return marked
    if _HALF_DATA_URL.match(text):
        return [f"data:{';' if text[:7].lower() == 'base64,' else ''}{text}"]
    if text and (trust is _Trust.BASE64_KEY or _is_base64_picture(text)):
        return [f"data:;base64,{text}"]
    named = trust is _Trust.OUTPUT or (trust is _Trust.KNOWN_KEY and _is_relative(text))
    return [text] if text and named else []


def _marked_up(text: str) -> list[str]:
    if "](" not in text and "<" not in text:
        return []
    found = (pattern.findall(text) for pattern in _MARKUP)
    return [address.strip() for address in next(filter(None, found), [])]


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _is_base64_picture(text: str) -> bool:
    head = "".join(text[: 2 * _HEAD].split())[:_HEAD].translate(str.maketrans("-_", "+/"))
    try:
        content = base64.b64decode(head[: len(head) // 4 * 4], validate=True)
    except (binascii.Error, ValueError):
        return False
    return is_picture(content)


def _is_relative(text: str) -> bool:
    if len(text) > _LONGEST_ADDRESS or any(mark.isspace() for mark in text) or _SCHEME.match(text):
        return False
    path = text.partition("?")[0].partition("#")[0]
    return "/" in path or path.lower().endswith(manners.PICTURE_SUFFIXES)
