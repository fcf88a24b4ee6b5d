"""The list of predictions: windows, pages, cursors."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from hashlib import sha256
from itertools import islice
from typing import TYPE_CHECKING
from urllib.parse import urlencode
from zlib import crc32

from batchfill.emulator.journal import PredictionRecord
from batchfill.emulator.responses import Refused, problem_response

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from batchfill.emulator.faults.rules import Fault

PAGE = 100

_CURSORS = ([int, type(None)], [type(None), int])
"""What a cursor's last two parts may be: the numbers below and above."""


@dataclass(frozen=True, slots=True)
class Window:
    """Which predictions a list is about; times are seconds, the first inclusive, the last not."""

    after: float | None = None
    before: float | None = None
    below: int | None = None
    """Only predictions made before the one with this number."""
    above: int | None = None
    """Only predictions made after the one with this number, the oldest of them."""

    def shows(self, now: float) -> bool:
        """Whether what is made *now* stands on its first page."""
        first = self.below is None and self.above is None
        return first and (self.before is None or now < self.before)


@dataclass(frozen=True, slots=True)
class ListPage:
    """One page, newest first, and the cursors of its neighbours."""

    records: list[PredictionRecord]
    next: str | None
    previous: str | None


def read_window(query: Mapping[str, str]) -> Window:
    """Return the window that a request asks for. Raises Refused."""
    cursor = query.get("cursor")
    if cursor is None:
        return Window(_read_time(query, "created_after"), _read_time(query, "created_before"))
    try:
        parts = json.loads(base64.urlsafe_b64decode(cursor))
    except ValueError:
        parts = None
    if not isinstance(parts, list) or [type(part) for part in parts[2:]] not in _CURSORS:
        raise Refused(problem_response(400, detail="Invalid cursor"))
    return Window(*parts)


def read_page(records: Sequence[PredictionRecord], window: Window) -> ListPage:
    """Return a page of *records*, which are in the order in which they were made."""
    numbers = _numbers_inside(records, window)
    more = len(numbers) > PAGE
    if window.above is None:
        shown = numbers[:PAGE]
        older, newer = more, window.below is not None
    else:
        # Numbers come oldest first here; the page that led here is the older neighbour.
        shown = numbers[PAGE - 1 :: -1] if more else numbers[::-1]
        older, newer = True, more
    return ListPage(
        [records[n] for n in shown],
        _encode_cursor(replace(window, below=shown[-1], above=None)) if shown and older else None,
        _encode_cursor(replace(window, above=shown[0], below=None)) if shown and newer else None,
    )


def page_url(base: str, cursor: str | None) -> str | None:
    """Return the absolute URL of a neighbouring page."""
    return cursor and f"{base}/predictions?{urlencode({'cursor': cursor})}"


def distort_page(page: ListPage, window: Window, hits: tuple[Fault, ...], now: float) -> ListPage:
    """Return *page* of *window* as the faults of a list show it."""
    records = page.records
    for hit in hits:
        if hit.kind == "empty":
            return ListPage([], None, None)
        if hit.kind == "lagging":
            records = [record for record in records if record.created_at < now - hit.option("seconds", 3.0)]
        if hit.kind == "filtered":
            records = _leave_out(records, hit)
        if hit.kind == "without_inputs":
            records = [replace(record, input={}, contents={}) for record in records]
        if hit.kind == "strangers" and window.shows(now):
            records = [*_make_strangers(hit, now), *records]
    return replace(page, records=records)


def _numbers_inside(records: Sequence[PredictionRecord], window: Window) -> list[int]:
    """Return the numbers of one record more than a page, newest first, or oldest first above a number."""
    after = window.after if window.after is not None else float("-inf")
    before = window.before if window.before is not None else float("inf")
    # Every one is looked at: a clock that is put back leaves later predictions with earlier times.
    if window.above is not None:
        numbers = range(window.above + 1, len(records))
    else:
        top = len(records) if window.below is None else min(window.below, len(records))
        numbers = range(top - 1, -1, -1)
    inside = (number for number in numbers if after <= records[number].created_at < before)
    return list(islice(inside, PAGE + 1))


def _leave_out(records: list[PredictionRecord], hit: Fault) -> list[PredictionRecord]:
    """Leave out the newest *count*, or a share of all: the same predictions each time."""
    if "count" in hit.options:
        return records[hit.options["count"] :]
    share = hit.option("share", 0.5)
    return [record for record in records if crc32(record.id.encode()) >= share * 2**32]


def _make_strangers(hit: Fault, now: float) -> list[PredictionRecord]:
    asked = hit.option("input", {"prompt": "another user's", "seed": 4242})
    ids = [sha256(b"stranger %d" % n).hexdigest()[:26] for n in range(hit.option("count", 3))]
    return [
        PredictionRecord(id=id_, model="another/user", input=asked, contents={}, digest="", created_at=now)
        for id_ in ids
    ]


def _read_time(query: Mapping[str, str], name: str) -> float | None:
    text = query.get(name)
    if text is None:
        return None
    try:
        # An unescaped + of an offset arrives as a space.
        moment = datetime.fromisoformat(text.replace(" ", "+") if "T" in text else text)
    except ValueError:
        raise Refused(
            problem_response(400, detail=f"{name} must be a date-time in ISO 8601 format")
        ) from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _encode_cursor(window: Window) -> str:
    parts = [window.after, window.before, window.below, window.above]
    return base64.urlsafe_b64encode(json.dumps(parts).encode()).decode()
