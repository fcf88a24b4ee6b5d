"""A notification as it is sent: one JSON object, or a title and a line of text."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import TYPE_CHECKING, Any

from batchfill.domain.duration import format_duration
from batchfill.domain.json_objects import amounts_object, counts_object
from batchfill.domain.money import MILLION
from batchfill.domain.progress import NotificationKind
from batchfill.domain.rows import RowState
from batchfill.providers.error_text import one_line

if TYPE_CHECKING:
    from batchfill.domain.progress import Notification
    from batchfill.domain.reports import Cost

_MARKS = {
    NotificationKind.ENDED: "white_check_mark",
    NotificationKind.STOPPED: "warning",
    NotificationKind.STALLED: "hourglass",
}
"""What ntfy shows before the title, by its names."""


UNTOLD = "--notify: {error}; that the run {event} was not told"
"""What is said of a notification that did not arrive."""


def as_json(news: Notification) -> bytes:
    """Return *news* as JSON: counts and cost as `status --json` names them, elapsed seconds, one sentence."""
    told: dict[str, Any] = {
        "event": news.event.value,
        "manifest": news.manifest,
        "text": f"{title_of(news)}: {text_line(news)}",
        "reason": _reason_text(news) or None,
        "counts": counts_object(news.counts),
        "cost": {**amounts_object(news.cost), "currency": news.cost.currency},
        "elapsed": round(news.elapsed, 1),
    }
    return json.dumps(told).encode()


def ntfy_headers(news: Notification) -> dict[str, str]:
    """Return what makes a text a notification with a title at ntfy and its likes."""
    words = title_of(news)
    # Headers are ASCII; what is not goes as RFC 2047 writes it.
    text = words if words.isascii() else f"=?UTF-8?B?{b64encode(words.encode()).decode()}?="
    return {"Title": text, "Tags": _MARKS[news.event], "Content-Type": "text/plain; charset=utf-8"}


def title_of(news: Notification) -> str:
    """Return `night.csv ended`."""
    return f"{one_line(news.manifest, longest=120)} {news.event.value}"


def text_line(news: Notification) -> str:
    """Return `9,988 of 10,000 done, 12 failed · 252.48 USD · 6 h 12 min · --limit 10 reached`."""
    parts = [_rows_text(news), _paid_text(news.cost), format_duration(news.elapsed), _reason_text(news)]
    return " · ".join(filter(None, parts))


def _rows_text(news: Notification) -> str:
    total, done = sum(news.counts.values()), news.counts.get(RowState.DONE, 0)
    others = {state: number for state, number in news.counts.items() if state is not RowState.DONE and number}
    parts = [f"{number:,} {state.value.replace('_', ' ')}" for state, number in others.items()]
    return ", ".join([f"{done:,} of {total:,} done", *parts])


def _paid_text(cost: Cost) -> str:
    if cost.spent is None:
        return "price unknown"
    return f"{cost.spent / MILLION:,.2f} {cost.currency}{' if it were real' if cost.rehearsal else ''}"


def _reason_text(news: Notification) -> str:
    return one_line(news.reason or "")
