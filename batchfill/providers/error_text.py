"""What a service says in an answer's body, cut down to one harmless line."""

from __future__ import annotations

import json
import re
from html import unescape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

LONGEST = 300
"""Characters of a body's text that are shown."""

# Bounded, for a page of nothing but `<title>` would otherwise be searched to its end from each of them.
_TITLE = re.compile(r"<title[^>]{0,200}>(.{0,500}?)</title", re.IGNORECASE | re.DOTALL)
_UNSEEN = re.compile(r"<(script|style)\b.*?(</\1\s*>|$)|<[^>]*>?", re.IGNORECASE | re.DOTALL)
_QUERY = re.compile(r"(https?:(?:\\?/){2}[^\s\"'<>?\\]{1,2000})\?[^\s\"'<>]*")
"""An address with its query, in which signatures are; in JSON a slash may be escaped."""
_KEYS = ("detail", "error", "message", "title", "msg", "description")
_READ = 64 * 1024
KEPT = 2000
"""Characters of an answer that is kept because it was not understood."""

MOST_VALUES = 2_000_000
"""Values of one answer: as many empty objects take 150 MB."""


def parse_json(body: bytes) -> Any:
    """Return *body* as JSON. Raises ValueError, whatever the bytes are."""
    if sum(map(body.count, (b",", b"[", b"{"))) > MOST_VALUES:
        raise ValueError(f"JSON of more than {MOST_VALUES:,} values")
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
    return one_line(said)


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
    return one_line(_QUERY.sub(r"\1?…", body[:_READ].decode("utf-8", "replace")), longest=KEPT)


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
