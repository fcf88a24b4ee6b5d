"""What a service says in an answer's body: in one harmless line, why it refused a create, of which files."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from html import unescape
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from batchfill.providers import manners

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from batchfill.providers.manners import RefusedFor

LONGEST = 300
"""Characters of a body's text that are shown."""

# Bounded, for a page of nothing but `<title>` would otherwise be searched to its end from each of them.
_TITLE = re.compile(r"<title[^>]{0,200}>(.{0,500}?)</title", re.IGNORECASE | re.DOTALL)
_UNSEEN = re.compile(r"<(script|style)\b.*?(</\1\s*>|$)|<[^>]*>?", re.IGNORECASE | re.DOTALL)
_QUERY = re.compile(r"(?<=[^\s\"'<>?])\?[!#-&(-;=?-~]+")
"""The query of an address, in which signatures are: of a relative one too, and whatever JSON escapes."""
_KEYS = ("detail", "error", "message", "title", "msg", "description")
_READ = 64 * 1024
KEPT = 2000
"""Characters of an answer that is kept because it was not understood."""

MOST_VALUES = 2_000_000
"""Values of one answer: as many empty objects take 150 MB."""


class TooManyValues(ValueError):
    """JSON that takes more memory than an answer may."""


def parse_json(body: bytes) -> Any:
    """Return *body* as JSON. Raises ValueError, whatever the bytes are."""
    if sum(map(body.count, (b",", b"[", b"{"))) > MOST_VALUES:
        raise TooManyValues(f"JSON of more than {MOST_VALUES:,} values")
    try:
        return json.loads(body)
    except RecursionError:
        raise ValueError("JSON that is nested too deeply") from None
    except ValueError as error:
        if type(error) is ValueError:
            # Python's advice about it is for programmers.
            raise ValueError("JSON with a number of thousands of digits") from None
        raise


def is_html(body: bytes) -> bool:
    """Whether *body* is a page for a person where a program's answer was expected."""
    return body[:200].lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<")


def words_of_body(body: bytes) -> str:
    """Return what *body* says in at most LONGEST characters; empty when it says nothing."""
    try:
        said = words_of(parse_json(body))
    except ValueError:
        said = _text_of(body[:_READ].decode("utf-8", "replace"))
    # What is no text says nothing to a person, and a query may hold a signature.
    return "" if said.count("\ufffd") > len(said) / 10 else one_line(without_queries(said[:_READ]))


def words_of(value: Any) -> str:
    """Return what a JSON value says: its invalid fields, else its detail, error, message or title."""
    if isinstance(value, dict):
        fields = "; ".join(_field_texts(value.get("invalid_fields")))
        return fields or _first_said(value)
    if isinstance(value, list):
        return "; ".join(filter(None, (_item_text(item) for item in value[:20])))
    return value if isinstance(value, str) else ""


def kept_text(body: bytes) -> str:
    """Return the beginning of *body*, to be kept for a person: without the queries of addresses in it."""
    return one_line(without_queries(body[:_READ].decode("utf-8", "replace")), longest=KEPT)


def without_queries(text: str) -> str:
    """Return *text* without the queries of addresses in it, which may be signatures."""
    return _QUERY.sub("?…", text)


def one_line(text: str, *, longest: int = LONGEST) -> str:
    """Return *text* on one line, printable, at most *longest* characters."""
    text = text[:_READ]
    if not text.isprintable():
        text = "".join(c if c.isprintable() else " " for c in text)
    line = " ".join(text.split())
    return line if len(line) <= longest else line[: longest - 1] + "…"


def _first_said(value: dict[str, Any]) -> str:
    said = next(filter(None, (_nested_text(value.get(key)) for key in _KEYS)), "")
    code = value.get("code")
    if said and isinstance(code, str) and code and code not in said:
        return f"{said} (code: {code})"
    return said


def _nested_text(value: Any) -> str:
    # One level and a list's items: an answer that hides its words deeper is not read to its end.
    if isinstance(value, dict):
        inner = {key: item for key, item in value.items() if isinstance(item, str)}
        return _first_said(inner)
    return words_of(value)


def _field_texts(value: Any) -> Iterator[str]:
    for item in value[:20] if isinstance(value, list) else ():
        if isinstance(item, dict):
            name = words_of(item.get("field")).removeprefix("input.")
            said = _nested_text(item.get("description")) or _nested_text(item.get("message"))
            yield said if said.startswith(name) else ": ".join(filter(None, (name, said)))


def _item_text(item: Any) -> str:
    """Say one item of a list; `{"loc": ["body", "input", "seed"], "msg": …}` is what Cog answers."""
    if not isinstance(item, dict):
        return item if isinstance(item, str) else ""
    place = item.get("loc")
    last = place[-1] if isinstance(place, list) and place else ""
    name = str(last) if isinstance(last, str | int) else ""
    return ": ".join(filter(None, (name, _nested_text(item))))


def _text_of(page: str) -> str:
    if "<" not in page:
        return page
    title = _TITLE.search(page)
    return unescape(title[1] if title and title[1].strip() else _UNSEEN.sub(" ", page))


_DEEP = 4
"""Levels of an error that are read."""

_TEXTS = frozenset(
    {"error", "errors", "message", "detail", "details", "msg", "description", "title", "reason"}
)
_CODES = frozenset({"code", "type", "status", "error_code", "errcode", "err_code", "status_code"})
_MADE = frozenset({*manners.IDS, "output", "outputs", "images", "urls"}) - {"request_id"}
"""Keys of what was made: next to them no word proves that nothing was."""


def _any_of(patterns: Iterable[str]) -> re.Pattern[str]:
    return re.compile("|".join(patterns), re.IGNORECASE)


def _names(codes: Iterable[str]) -> Iterator[str]:
    # Only names that no sentence holds by chance: gateways quote one error inside another's text.
    return (rf"(?<!\w){re.escape(code)}(?!\w)" for code in codes if "_" in code)


_SAID = {kind: _any_of((*words, *_names(manners.CODES[kind]))) for kind, words in manners.WORDS.items()}
_UNPROVEN = _any_of((*manners.UNPROVEN_WORDS, *_names(manners.UNPROVEN_CODES)))


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a create was refused."""

    kind: RefusedFor
    proven: bool
    """Whether it proves that nothing was made, whatever the answer's status."""


def find_refusal(body: bytes, sent: Iterable[str] = ()) -> Refusal | None:
    """Return why the service refused a create, by the words of *body*; None when they do not say.

    *sent*: the texts of the request. A service may quote them, so that they are no words of its own.
    """
    if is_html(body):
        return None
    value = _parsed(body)
    texts = [*_texts_of(value, _DEEP)]
    codes = {code.lower() for code in _codes_of(value, _DEEP)}
    given = [text.lower() for text in sent if not text.startswith("data:")]
    for kind, pattern in _SAID.items():
        if codes & manners.CODES[kind] or any(_says(pattern, text, given) for text in texts):
            return Refusal(kind, proven=not _may_be_made(value, texts, codes))
    return None


def texts_of_body(body: bytes) -> list[str]:
    """Return the texts of an error, each by itself; *body* as it is when it is not JSON."""
    return [*_texts_of(_parsed(body), _DEEP)]


def _parsed(body: bytes) -> Any:
    try:
        return parse_json(body)
    except ValueError:
        return {"message": body[:_READ].decode("utf-8", "replace")}


def _says(pattern: re.Pattern[str], text: str, given: list[str]) -> bool:
    found = (match.group().lower() for match in pattern.finditer(text))
    return any(not any(words in quoted for quoted in given) for words in found)


def _may_be_made(value: Any, texts: list[str], codes: set[str]) -> bool:
    if codes & manners.UNPROVEN_CODES or any(_UNPROVEN.search(text) for text in texts):
        return True
    return any(_MADE & {key for key, item in part.items() if item} for part in _parts_of(value))


def _parts_of(value: Any) -> Iterator[Mapping[str, Any]]:
    """Yield an answer and what is in its envelope."""
    if isinstance(value, dict):
        yield value
        yield from (part for key in manners.ENVELOPES if isinstance(part := value.get(key), dict))


def _texts_of(value: Any, depth: int) -> Iterator[str]:
    if isinstance(value, str):
        yield value[:_READ]
    elif depth and isinstance(value, list):
        for item in value[:20]:
            yield from _texts_of(item, depth - 1)
    elif depth and isinstance(value, dict):
        for key, item in value.items():
            # An envelope's own strings are no words of an error.
            inner = key in _TEXTS or (key in manners.ENVELOPES and isinstance(item, dict))
            if inner:
                yield from _texts_of(item, depth - 1)


def _codes_of(value: Any, depth: int) -> Iterator[str]:
    if not depth:
        return
    if isinstance(value, list):
        for item in value[:20]:
            yield from _codes_of(item, depth - 1)
    elif isinstance(value, dict):
        for key, item in value.items():
            if key in _CODES and isinstance(item, str | int):
                yield str(item)
            elif key in _TEXTS or key in manners.ENVELOPES:
                yield from _codes_of(item, depth - 1)


LEAST_NAMED = 8
"""Characters of a part of an address that is taken for the id or the name of a file."""

_FILE = re.compile(r"\b(files?|images?|pictures?|masks?|uploads?|inputs?|urls?)\b", re.IGNORECASE)
_AWAY = re.compile(
    r"\b(40[134]|410|not found|not exist|gone|expired?|no longer|missing|deleted|removed|unavailable|no such"
    r"|(failed|unable|could ?n[o']t|cannot|can't|error)\b.{0,20}\b"
    r"(download|fetch|load|open|read|access|retriev)(ed|ing|e)?)\b",
    re.IGNORECASE,
)
"""Words for a file that is not there. To upload one more for nothing costs nothing."""


def addresses_named(sent: Mapping[str, Any], error: str) -> list[str]:
    """Return the addresses among the inputs *sent* that *error* is about.

    Those that it names, by address or by id; all of them where it speaks of a file that is not there, and
    names none.
    """
    addresses = [given for given in sent.values() if isinstance(given, str) and _is_http(given)]
    named = [address for address in addresses if any(part in error for part in _name_parts(address))]
    if named or not (_FILE.search(error) and _AWAY.search(error)):
        return named
    return addresses


def _is_http(given: str) -> bool:
    return given.startswith(("https://", "http://"))


def _name_parts(address: str) -> list[str]:
    """Return what stands for a file's address in an error: a part of its path that can be no common word."""
    try:
        path = urlsplit(address).path
    except ValueError:
        return []
    parts = {part for side in (path, unquote(path)) for part in side.split("/")}
    return [part for part in parts if len(part) >= LEAST_NAMED and re.search(r"[\d_.=-]", part)]
