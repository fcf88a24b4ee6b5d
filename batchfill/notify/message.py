"""A notification as it is sent: one JSON object, or a title and a line of text."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import TYPE_CHECKING, Any

from batchfill.domain.progress import Event
from batchfill.domain.rows import RowState
from batchfill.providers.error_text import tidy

if TYPE_CHECKING:
    from batchfill.domain.progress import News
    from batchfill.domain.reports import Cost

MILLION = 1_000_000

_MARKS = {Event.ENDED: "white_check_mark", Event.STOPPED: "warning", Event.STALLED: "hourglass"}
"""What ntfy shows before the title, by its names."""


def as_json(news: News) -> bytes:
    """Return *news* as JSON: counts and cost as `status --json` names them, elapsed seconds, one sentence."""
    cost = news.cost
    told: dict[str, Any] = {
        "event": news.event.value,
        "manifest": news.manifest,
        "text": f"{title(news)}: {line(news)}",
        "reason": _reason(news) or None,
        "counts": {
            "total": sum(news.counts.values()),
            **{state.value: news.counts.get(state, 0) for state in RowState},
        },
        "cost": {
            "spent": _units(cost.spent),
            "reserved": _units(cost.reserved),
            "to_go": _units(cost.to_go),
            "cap": _units(cost.cap),
            "currency": cost.currency,
        },
        "elapsed": round(news.elapsed, 1),
    }
    return json.dumps(told).encode()


def ntfy_headers(news: News) -> dict[str, str]:
    """Return what makes a text a notification with a title at ntfy and its likes."""
    words = title(news)
    # Headers are ASCII; what is not goes as RFC 2047 writes it.
    text = words if words.isascii() else f"=?UTF-8?B?{b64encode(words.encode()).decode()}?="
    return {"Title": text, "Tags": _MARKS[news.event], "Content-Type": "text/plain; charset=utf-8"}


def title(news: News) -> str:
    """Return `night.csv ended`."""
    return f"{tidy(news.manifest, longest=120)} {news.event.value}"


def line(news: News) -> str:
    """Return `9,988 of 10,000 done, 12 failed · 252.48 USD · 6 h 12 min · --limit 10 reached`."""
    parts = [_rows(news), _paid(news.cost), _time(news.elapsed), _reason(news)]
    return " · ".join(filter(None, parts))


def _rows(news: News) -> str:
    total, done = sum(news.counts.values()), news.counts.get(RowState.DONE, 0)
    others = {state: number for state, number in news.counts.items() if state is not RowState.DONE and number}
    parts = [f"{number:,} {state.value.replace('_', ' ')}" for state, number in others.items()]
    return ", ".join([f"{done:,} of {total:,} done", *parts])


def _paid(cost: Cost) -> str:
    if cost.spent is None:
        return ""
    return f"{cost.spent / MILLION:,.2f} {cost.currency}{' if it were real' if cost.rehearsal else ''}"


def _time(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min"


def _reason(news: News) -> str:
    return tidy(news.reason or "")


def _units(millionths: int | None) -> float | None:
    return None if millionths is None else millionths / MILLION
