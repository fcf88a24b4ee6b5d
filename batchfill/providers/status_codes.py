"""What an answer that is not a success means for the caller, and how long it asks it to wait."""

from __future__ import annotations

import re
import time
from contextlib import suppress
from email.utils import parsedate_to_datetime
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from batchfill.errors import (
    AnswerLost,
    BatchfillError,
    Held,
    NotFound,
    NotOffered,
    RowRejected,
    ServiceRefused,
    Throttled,
    TransientError,
    Unavailable,
)
from batchfill.providers import manners
from batchfill.providers.error_text import find_refusal, is_html, parse_json, texts_of_body, words_of_body
from batchfill.providers.manners import RefusedFor
from batchfill.providers.parsing import LATEST, read_moment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from batchfill.providers.error_text import Refusal

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
_PROVEN = frozenset({307, 308, *range(400, 406), 413, 415, 422, 429})
"""Statuses of a create that prove by themselves that nothing was made."""
_OF_THE_ROW = frozenset({413, 415, 422})
_NO_MODEL = frozenset({401, 403, 404, 405})
"""Statuses that say of the account or the model what no wait changes."""
_WAITED_FOR: dict[RefusedFor, type[TransientError]] = {
    RefusedFor.NO_CAPACITY: Held,
    RefusedFor.NO_CHANNEL: Unavailable,
}
_NEEDED = frozenset({Call.CREATE, Call.GET, Call.PAGE})
_GONE = {Call.GET: frozenset({404, 410}), Call.CANCEL: frozenset({404, 410})}
_EPOCH = 1e9
"""Numbers from here on are points in time: no service asks for thirty years."""

_EPOCH_MS = 1e12
_DEEP = 4
_READ = 4_000

_NUMBER = re.compile(r"\d{1,15}(\.\d{1,20})?", re.ASCII)
_UNIT = "|".join(sorted(map(re.escape, manners.UNITS), key=len, reverse=True))
# A unit ends where no letter follows. Nothing in it repeats without a bound: the text is a stranger's.
_PART = rf"(?a:(?<!\d)\d{{1,9}}(?:\.\d{{1,9}})?(?!\d)) ?(?:(?:{_UNIT})(?![a-zA-Z]))?"
_DURATION = rf"((?:{_PART} ?){{1,4}})"
_WORDS = [re.compile(words.format(duration=_DURATION), re.IGNORECASE) for words in manners.WAIT_WORDS]
_RATES = [re.compile(words.format(unit=_UNIT), re.IGNORECASE) for words in manners.RATE_WORDS]
_PARTS = re.compile(rf"((?a:\d{{1,9}}(?:\.\d{{1,9}})?)) ?((?:{_UNIT})(?![a-zA-Z]))?", re.IGNORECASE)
_WHOLE = re.compile(_DURATION, re.IGNORECASE)


def error_for(
    call: Call,
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    sent: Iterable[str] = (),
    *,
    whole: bool = True,
) -> BatchfillError:
    """Return the error that an answer with *status* (not 2xx) means for *call*; *headers* in lower case.

    *sent*: the texts of the request, which the answer may quote. Not *whole*: what was cut proves nothing.
    """
    text = _told(call, status, body)
    refused = error_in_words(status, headers, body, sent) if call is Call.CREATE and whole else None
    if refused is not None:
        return refused
    if status == 429:
        return Throttled(text, wait=wait_of(headers, body), per_minute=rate_of(body))
    if status in _ACCOUNT_TROUBLE:
        return ServiceRefused(f"{text}{_advice_for(status, body)}", status=status, final=status == 402)
    if status in _GONE.get(call, ()):
        return NotFound(text)
    # A gateway may send paths that it does not know to its front page.
    if call not in _NEEDED and (status in _NO_SUCH_CALL or 300 <= status < 400):
        return NotOffered(text)
    if 300 <= status < 400:
        return _redirected(call, status, text)
    return _of_the_rest(call, status, text, wait_of(headers, body))


def error_in_words(
    status: int, headers: Mapping[str, str], body: bytes, sent: Iterable[str] = ()
) -> BatchfillError | None:
    """Return what an answer to a create means by its words, where they say that nothing was made; else None.

    A gateway may say so under any status, a success too.
    """
    refusal = find_refusal(body, sent)
    if refusal is None or not _proves(refusal, status):
        return None
    text = _told(Call.CREATE, status, body)
    if refusal.kind is RefusedFor.QUOTA:
        return ServiceRefused(f"{text}: add credit, then run again", status=status, final=True)
    wait = wait_of(headers, body)
    if (kind := _WAITED_FOR.get(refusal.kind)) is not None:
        return kind(text, wait=wait)
    return Throttled(text, wait=wait, per_minute=rate_of(body))


def _proves(refusal: Refusal, status: int) -> bool:
    """Whether nothing was made, and the words say more of it than the status."""
    if refusal.kind is RefusedFor.QUOTA:
        return refusal.proven or status in _PROVEN
    if refusal.kind is RefusedFor.NO_CHANNEL and status in _NO_MODEL:
        return False
    return status not in _OF_THE_ROW and (refusal.proven or status in _PROVEN)


def _told(call: Call, status: int, body: bytes) -> str:
    said = words_of_body(body)
    page = " with a web page" if is_html(body) else ""
    return f"the service answered {status} to the {call} call{page}" + (f": {said}" if said else "")


def wait_of(headers: Mapping[str, str], body: bytes, clock: Callable[[], float] = time.time) -> float | None:
    """Return the longest wait in seconds that an answer asks for, None when it asks for none.

    Points in time are read by the service's clock where it tells it, else by *clock*. *headers* are in
    lower case.
    """
    # Our clock may be wrong by hours.
    date = read_http_date(headers.get("date", ""))
    now = clock() if date is None else date
    waits = [*_waits_of_headers(headers, now), *_waits_of_body(body, now)]
    waits = waits or [*_waits_to_reset(headers, now)]
    return min(max(waits), LONGEST_WAIT) if waits else None


def rate_of(body: bytes) -> float | None:
    """Return the lowest limit that the words of an answer name, a minute; None where they name none."""
    found = [
        60 * int(number) / manners.RATE_UNITS[unit.lower()]
        for line in _lines_of(body)
        for pattern in _RATES
        for number, unit in pattern.findall(line)
    ]
    return min((rate for rate in found if rate), default=None)


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
        question = "is the model's name right, and the base URL? --model and --base-url name others"
        return ServiceRefused(f"{text}: {question}", status=status)
    if status in _NOTHING_MADE:
        return RowRejected(text)
    return AnswerLost(text)


def _advice_for(status: int, body: bytes) -> str:
    if is_html(body) and status != 402:
        # What answers with pages is not the service, and knows no token.
        return ": what stands before the service (a firewall, a front page) refused it"
    return {
        401: ": check the token",
        402: ": add credit, then run again",
        403: ": check what the token may do",
    }[status]


def _waits_of_headers(headers: Mapping[str, str], now: float) -> Iterator[float]:
    for name, unit in manners.RETRY_HEADERS.items():
        if (wait := _seconds(headers.get(name), now, unit)) is not None:
            yield wait


def _waits_to_reset(headers: Mapping[str, str], now: float) -> Iterator[float]:
    for name in manners.RESET_HEADERS:
        remains = headers.get(name.replace("reset", "remaining"), "0").strip()
        if remains in ("", "0") and (wait := _seconds(headers.get(name), now)) is not None:
            yield wait


def _waits_of_body(body: bytes, now: float) -> Iterator[float]:
    with suppress(ValueError):
        yield from _named_waits(parse_json(body), now, _DEEP)
    for line in _lines_of(body):
        for pattern in _WORDS:
            yield from map(_duration, pattern.findall(line))


def _lines_of(body: bytes) -> Iterator[str]:
    """Yield the texts of a body, and the body itself, each as one line."""
    for text in (*texts_of_body(body), body[:_READ].decode("utf-8", "replace")):
        yield " ".join(text[:_READ].split())


def _named_waits(value: Any, now: float, depth: int) -> Iterator[float]:
    """Yield the waits that keys of a JSON value name."""
    items = value.items() if isinstance(value, dict) else ()
    for key, item in items:
        name = key.lower()
        unit = manners.RETRY_KEYS.get(name, 1.0)
        named = name in manners.RETRY_KEYS or name in manners.RESET_KEYS
        if named and (wait := _seconds(item, now, unit)) is not None:
            yield wait
    inner = value[:20] if isinstance(value, list) else [item for _, item in items]
    for item in inner if depth else ():
        yield from _named_waits(item, now, depth - 1)


def _seconds(value: Any, now: float, unit: float = 1.0) -> float | None:
    """Return the wait that a header or a key holds; *unit*: seconds of one, where it is a bare number."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    text = str(value).strip()
    if _NUMBER.fullmatch(text):
        number = float(text)
        if number >= _EPOCH_MS:
            return max(number / 1000 - now, 0.0)
        return max(number - now, 0.0) if number >= _EPOCH else number * unit
    if (until := read_http_date(text) or read_moment(text)) is not None:
        return max(until - now, 0.0)
    return _duration(text) if _WHOLE.fullmatch(text) else None


def _duration(text: str) -> float:
    """Return `1m30s` or `12 秒` in seconds."""
    return sum(float(number) * manners.UNITS[unit.lower() or "s"] for number, unit in _PARTS.findall(text))


# Answers of one second bear the same date.
@lru_cache(maxsize=4)
def read_http_date(text: str) -> float | None:
    """Return `Mon, 23 Nov 2026 00:08:30 GMT` as seconds since the epoch, None when it is something else.

    A time that no clock can show is none.
    """
    try:
        seconds = parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return seconds if 0 < seconds < LATEST else None
