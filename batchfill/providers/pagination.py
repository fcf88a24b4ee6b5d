"""The listing of predictions: its pages, and what they prove."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from batchfill.domain.predictions import Prediction
from batchfill.providers.error_text import parse_json
from batchfill.providers.parsing import (
    LATEST,
    check_prediction_id,
    prediction_of,
    read_moment,
    running_status,
)
from batchfill.providers.prediction_reader import results_in

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Sequence


LONGEST_CURSOR = 10_000
UNREAD = "unread"
"""The status of one that was not wanted, and does not run."""


@dataclass(frozen=True, slots=True)
class Listing:
    """The predictions of a window of time, newest first; older ones too, where the service lists them."""

    items: tuple[Prediction, ...]
    complete: bool
    """Whether every prediction of the window is among *items*."""


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a listing."""

    items: tuple[Prediction, ...]
    readable: bool
    """Whether every item of the page could be read."""
    more: bool
    """Whether the service says that there is another page."""
    cursor: str | None
    """Of the next page; None when there is none, or none that can be asked for."""


def read_page(body: bytes, wanted: Container[str] | None = None) -> Page | None:
    """Read one page, None when *body* is something else. Raises ValueError when it is not even JSON.

    *wanted*: ids of predictions; of others, and of those that run, only id, status and time are read.
    """
    page = results_in(parse_json(body))
    if page is None:
        return None
    place, results = page
    items = tuple(_read_items(results, wanted))
    following = place.get("next")
    return Page(items, len(items) == len(results), following is not None, _read_cursor(following))


def window_query(created_after: float | None, created_before: float | None) -> dict[str, str]:
    """Return the query that asks for a window of time, widened to whole milliseconds."""
    asked = {} if created_after is None else {"created_after": _format_time(created_after)}
    if created_before is not None:
        asked["created_before"] = _format_time(created_before + 0.001)
    return asked


def reaches_past(items: Sequence[Prediction], created_after: float | None) -> bool:
    """Whether *items*, a listing's beginning, must hold everything made since *created_after*.

    So it is when they run from new to old, as far as can be seen, and end before that time.
    """
    if created_after is None:
        return False
    times = [item.created_at for item in items if item.created_at is not None]
    descending = len(times) == len(items) and all(newer >= older for newer, older in pairwise(times))
    return descending and len(set(times)) > 1 and times[-1] < created_after


def size_of(items: Sequence[Prediction]) -> int:
    """Return about how many bytes of memory *items* take."""
    given = [value for item in items for value in (item.input or {}).values()]
    texts = [url for item in items for url in item.outputs] + [v for v in given if isinstance(v, str)]
    return 1000 * len(items) + 100 * len(given) + sum(map(len, texts))


def _read_items(results: list[Any], wanted: Container[str] | None) -> Iterator[Prediction]:
    for item in results:
        try:
            yield _read_item(item, wanted)
        except ValueError:
            continue


def _read_item(item: Any, wanted: Container[str] | None) -> Prediction:
    if wanted is None or not isinstance(item, dict):
        return prediction_of(item)
    id_, status = check_prediction_id(item.get("id")), running_status(item.get("status"))
    if id_ in wanted and status is None:
        return prediction_of(item)
    # A follower is shown those that run in every list, and those that it knows to have ended.
    return Prediction(id_, status or UNREAD, created_at=read_moment(item.get("created_at")))


def _read_cursor(following: Any) -> str | None:
    if not isinstance(following, str):
        return None
    try:
        found = parse_qs(urlsplit(following).query).get("cursor")
    except ValueError:
        return None
    usable = found and found[0].isprintable() and len(found[0]) <= LONGEST_CURSOR
    return found[0] if found and usable else None


def _format_time(seconds: float) -> str:
    known = min(max(seconds, 0.0), LATEST)
    return datetime.fromtimestamp(known, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
