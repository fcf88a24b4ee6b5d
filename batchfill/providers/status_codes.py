"""What an answer that is not a success means for the caller: one table a kind of call."""

from __future__ import annotations

import re
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from batchfill.errors import (
    AnswerLost,
    BatchfillError,
    NotFound,
    NotOffered,
    RowRejected,
    ServiceRefused,
    Throttled,
    TransientError,
)
from batchfill.providers.error_text import parse_json, words_of_body
from batchfill.providers.parsing import LATEST

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

LONGEST_WAIT = 3600.0
"""Seconds: a service that asks for more is asked again after this."""


class Call(StrEnum):
    """The kinds of calls, as messages name them."""

    CREATE = "create"
    GET = "get"
    LIST = "list"
    PAGE = "list's next page"
    CANCEL = "cancel"
    FILES = "files"
    ACCOUNT = "account"
    MODEL = "model"


_ACCOUNT_TROUBLE = frozenset({401, 402, 403})
_NO_SUCH_CALL = frozenset({404, 405, 501})
_NOTHING_MADE = frozenset({400, 413, 415, 422})
SEE_OTHER = frozenset({302, 303})
_SENT_ELSEWHERE = frozenset({307, 308})
"""Redirects of the request itself: nothing was made of it here."""
_NEEDED = frozenset({Call.CREATE, Call.GET, Call.PAGE})
_GONE = {Call.GET: frozenset({404, 410}), Call.CANCEL: frozenset({404, 410})}
_WAITS = (
    re.compile(r"resets in ~?(\d{1,9}(?:\.\d{1,9})?)\s*(ms|s|m|h)?", re.IGNORECASE | re.ASCII),
    re.compile(r"available in ~?(\d{1,9}(?:\.\d{1,9})?)\s*(ms|s|m|h)?", re.IGNORECASE | re.ASCII),
)
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def error_for(call: Call, status: int, headers: Mapping[str, str], body: bytes) -> BatchfillError:
    """Return the error that an answer with *status* (not 2xx) means for *call*; *headers* in lower case."""
    said = words_of_body(body)
    text = f"the service answered {status} to the {call} call" + (f": {said}" if said else "")
    if status == 429:
        return Throttled(text, wait=wait_of(headers, body))
    if status in _ACCOUNT_TROUBLE:
        return ServiceRefused(f"{text}{_advice_for(status)}", status=status)
    if status in _GONE.get(call, ()):
        return NotFound(text)
    # A gateway may send paths that it does not know to its front page.
    if call not in _NEEDED and (status in _NO_SUCH_CALL or 300 <= status < 400):
        return NotOffered(text)
    if 300 <= status < 400:
        return _redirected(call, status, text)
    return _of_the_rest(call, status, text, wait_of(headers, body))


def wait_of(headers: Mapping[str, str], body: bytes) -> float | None:
    """Return the longest wait in seconds that an answer asks for, None when it asks for none."""
    waits = [*_waits_of_headers(headers), *_waits_of_body(body)]
    return min(max(waits), LONGEST_WAIT) if waits else _seconds_to_reset(headers)


def _redirected(call: Call, status: int, text: str) -> BatchfillError:
    text = f"{text}: it redirects, and the token follows no redirect"
    if call is Call.CREATE and status not in _SENT_ELSEWHERE:
        # 303, and 302 before there was a 303, send to what a POST has made.
        return AnswerLost(text, acknowledged=status in SEE_OTHER, refused=status != 303)
    return ServiceRefused(text, status=status)


def _of_the_rest(call: Call, status: int, text: str, wait: float | None) -> BatchfillError:
    if call is not Call.CREATE:
        rejected = call is Call.FILES and status in _NOTHING_MADE
        return RowRejected(text) if rejected else TransientError(text, wait=wait)
    if status in (404, 405):
        return ServiceRefused(f"{text}: is the model's name right, and the base URL?", status=status)
    if status in _NOTHING_MADE:
        return RowRejected(text)
    return AnswerLost(text)


def _advice_for(status: int) -> str:
    return {
        401: ": check the token",
        402: ": add credit, then run again",
        403: ": check what the token may do",
    }[status]


def _waits_of_headers(headers: Mapping[str, str]) -> Iterator[float]:
    given = headers.get("retry-after", "").strip()
    if (seconds := _to_number(given)) is not None:
        yield seconds
    elif (until := read_http_date(given)) is not None:
        # Both by the service's clock: ours may be wrong by hours.
        now = read_http_date(headers.get("date", ""))
        if now is not None:
            yield max(until - now, 0.0)


def _waits_of_body(body: bytes) -> Iterator[float]:
    try:
        value = parse_json(body)
    except ValueError:
        value = None
    if isinstance(value, dict) and (seconds := _to_number(value.get("retry_after"))) is not None:
        yield seconds
    text = body[:10_000].decode("utf-8", "replace")
    for pattern in _WAITS:
        for number, unit in pattern.findall(text):
            yield float(number) * _UNITS[unit.lower() or "s"]


def _seconds_to_reset(headers: Mapping[str, str]) -> float | None:
    seconds = _to_number(headers.get("ratelimit-reset"))
    return None if seconds is None else min(seconds, LONGEST_WAIT)


def _to_number(value: Any) -> float | None:
    text = str(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else ""
    return float(text) if re.fullmatch(r"\d{1,12}(\.\d{1,20})?", text, re.ASCII) else None


def read_http_date(text: str) -> float | None:
    """Return `Mon, 23 Nov 2026 00:08:30 GMT` as seconds since the epoch, None when it is something else.

    A time that no clock can show is none.
    """
    try:
        seconds = parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return seconds if 0 < seconds < LATEST else None
