"""What the provider says: predictions and errors in the service's own shapes."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from email.utils import formatdate
from typing import TYPE_CHECKING, Any

from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from batchfill.emulator.journal import PredictionRecord
    from batchfill.emulator.quirks import Quirks

REPLICATE = "https://api.replicate.com/v1"
PROBLEM = "application/problem+json"

FORMS = ("resets", "retry_after", "available", "header", "date", "low_credit", "bare")
"""How a 429 tells when to come again."""

_BODIES: Mapping[int, dict[str, Any]] = {
    401: {"title": "Unauthenticated", "detail": "You did not pass a valid authentication token"},
    402: {
        "title": "Insufficient credit",
        "detail": "You have insufficient credit to run this model. Go to your billing page to buy credit.",
    },
    403: {"title": "Forbidden", "detail": "You do not have permission to perform this action."},
    404: {"detail": "The requested resource could not be found."},
    405: {"detail": "Method not allowed."},
    422: {"title": "Input validation failed", "detail": "- input: the input is invalid\n"},
    500: {"detail": "Internal server error"},
}
_HTML = (
    "<html>\r\n<head><title>{0}</title></head>\r\n<body><center><h1>{0}</h1></center></body>\r\n</html>\r\n"
)
_LOW_CREDIT = (
    "Request was throttled. Your rate limit for creating predictions is reduced to 6 requests per minute "
    "with a burst of 1 requests while you have less than $5.0 in credit. Your rate limit resets in ~{0}s."
)
_GATEWAY_PAGES = {
    502: "502 Bad Gateway",
    503: "503 Service Temporarily Unavailable",
    504: "504 Gateway Time-out",
}


HELD = 5
"""Seconds after which a create that is held may come again."""


class Refused(Exception):
    """A request that is answered with an error; *response* is the answer."""

    def __init__(self, response: web.Response) -> None:
        super().__init__(f"answered {response.status}")
        self.response = response


def problem_response(status: int, /, **more: Any) -> web.Response:
    """Return the documented error body of *status*; *more* replaces or adds members."""
    if status in _GATEWAY_PAGES and not more:
        page = _HTML.format(_GATEWAY_PAGES[status])
        return web.Response(status=status, text=page, content_type="text/html")
    body = {**_BODIES.get(status, {"detail": f"Error {status}"}), **more, "status": status}
    # A method that is not allowed is answered with those that are, here none.
    headers = {"Allow": ""} if status == 405 else None
    return web.json_response(body, status=status, content_type=PROBLEM, headers=headers)


def throttled_response(seconds: float, form: str = "retry_after", *, now: float = 0.0) -> web.Response:
    """Return a 429 that asks for *seconds*, in one of its documented forms.

    `resets`, `retry_after`, `available` and `low_credit` name the time in the body, `header` and `date` in
    Retry-After; `bare` nowhere.
    """
    whole = math.ceil(seconds)
    resets = {"detail": f"Request was throttled. Your rate limit resets in ~{whole}s."}
    bare = {"detail": "Request was throttled."}
    bodies: dict[str, dict[str, Any]] = {
        "resets": resets,
        "retry_after": {**resets, "status": 429, "retry_after": whole},
        "available": {"detail": f"Request was throttled. Expected available in {whole} second."},
        "low_credit": {"detail": _LOW_CREDIT.format(whole), "status": 429, "retry_after": whole},
        "header": bare,
        "date": bare,
        "bare": bare,
    }
    headers = {"header": str(whole), "date": formatdate(now + seconds, usegmt=True)}
    more = {"Retry-After": headers[form]} if form in headers else {}
    return web.json_response(bodies[form], status=429, content_type=PROBLEM, headers=more)


def held_response(reason: str) -> web.Response:
    """Return a 429 for a create that has to wait until something can run."""
    body = {
        "title": "Nothing can run now",
        "detail": reason,
        "status": 429,
        "code": "no_capacity",
        "retry_after": HELD,
    }
    return web.json_response(body, status=429, content_type=PROBLEM, headers={"Retry-After": str(HELD)})


def invalid_response(faults: list[tuple[str, str, str]]) -> web.Response:
    """Return a 422 for inputs that the model does not take: (type, field, description) of each."""
    fields = [{"type": kind, "field": name, "description": text} for kind, name, text in faults]
    detail = "".join(f"- {name}: {text}\n" for _, name, text in faults)
    return problem_response(422, detail=detail, invalid_fields=fields)


def wrong_response(status: int, options: Mapping[str, Any], now: float) -> web.Response:
    """Return the answer of the fault `status`: the given body, or the documented one."""
    headers = {name: str(text) for name, text in options.get("headers", {}).items()}
    body = options.get("body")
    if body is None:
        asked = options.get("seconds", 1)
        plain = (
            throttled_response(asked, options.get("form", "retry_after"), now=now)
            if status == 429
            else problem_response(status)
        )
        plain.headers.update(headers)
        return plain
    text = body if isinstance(body, str) else json.dumps(body)
    kind = options.get("content_type", "text/html" if isinstance(body, str) else "application/json")
    return web.Response(status=status, text=text, content_type=kind, headers=headers)


def prediction_json(
    record: PredictionRecord,
    quirks: Quirks,
    base: str,
    *,
    outputs: Callable[[PredictionRecord], object],
    inputs: str,
) -> dict[str, Any]:
    """Return the service's record of a prediction as JSON.

    *outputs* gives the value of `output`, *inputs* is the address below which data URLs are echoed.
    """
    base = REPLICATE if quirks.foreign_urls else base
    site = "https://replicate.com" if quirks.foreign_urls else base.removesuffix("/v1")
    here = f"{base}/predictions/{record.id}"
    return {
        "id": record.id,
        "model": record.model,
        "version": "hidden",
        **({"deployment": record.deployment} if record.deployment else {}),
        "input": record.input | {name: f"{inputs}/{content}" for name, content in record.contents.items()},
        "logs": record.logs,
        "output": outputs(record) if record.outputs else None,
        "data_removed": record.removed,
        "error": _error_value(record, quirks),
        "status": _status_word(record, quirks),
        "created_at": format_time(record.created_at),
        **({"deadline": format_time(record.cancel_at)} if record.cancel_at else {}),
        **({"started_at": format_time(record.started_at)} if record.started_at else {}),
        **_ending_fields(record),
        "urls": {"cancel": f"{here}/cancel", "get": here, "web": f"{site}/p/{record.id}"},
    }


def format_time(seconds: float) -> str:
    """Return a time as the service writes it: `2025-07-30T03:03:25.864Z`."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _ending_fields(record: PredictionRecord) -> dict[str, Any]:
    if record.completed_at is None:
        return {}
    metrics = {"total_time": round(record.completed_at - record.created_at, 6)}
    if record.started_at is not None:
        metrics["predict_time"] = round(record.completed_at - record.started_at, 6)
    return {"completed_at": format_time(record.completed_at), "metrics": metrics}


def _status_word(record: PredictionRecord, quirks: Quirks) -> str:
    return "failed" if quirks.failed_only and record.status in ("canceled", "aborted") else record.status


def _error_value(record: PredictionRecord, quirks: Quirks) -> object:
    if record.error is None or not quirks.error_objects:
        return record.error
    return {"message": record.error, "type": "prediction_failed", "code": None}
