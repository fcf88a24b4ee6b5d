"""Puts the emulator's answers into a dialect, after they are made."""

from __future__ import annotations

import gzip
import json
import zlib
from datetime import datetime
from typing import TYPE_CHECKING, Any

import brotli
import zstandard
from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from aiohttp.typedefs import Handler, Middleware

    from batchfill.emulator.dialects.dialect import Dialect

_TIMES = ("created_at", "started_at", "completed_at")
_SYNONYMS = {
    "starting": "queued",
    "processing": "in_progress",
    "succeeded": "completed",
    "failed": "error",
    "canceled": "cancelled",
}
_PACK: Mapping[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "br": brotli.compress,
    "zstd": zstandard.compress,
}
_NOTE = "任务已提交"
"""What the logs of a gateway say that is not written in ASCII."""


def dress_answers(
    dialect: Dialect, call_of: Callable[[web.Request], str], now: Callable[[], float]
) -> Middleware:
    """Return the middleware that puts successes, and what they hold, into *dialect*."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        response = await handler(request)
        if not isinstance(response, web.Response) or not 200 <= response.status < 300:
            return response
        try:
            value = json.loads(response.text or "")
        except ValueError:
            return response  # a fault's page, or text
        return _dress(value, response, dialect, call_of(request), now())

    return middleware


def _dress(value: Any, response: web.Response, dialect: Dialect, call: str, now: float) -> web.Response:
    if isinstance(value, dict) and "status" in value:
        value = _dress_prediction(value, dialect, now)
    elif isinstance(value, dict) and isinstance(value.get("results"), list):
        value = value | {"results": [_dress_prediction(item, dialect, now) for item in value["results"]]}
    if call == "create" and dialect.id_key != "id" and "id" in value:
        if dialect.id_key == "location":
            return web.Response(status=303, headers={"Location": f"/v1/predictions/{value['id']}"})
        value = {dialect.id_key: value["id"], "status": value["status"]}
    if dialect.envelope:
        value = {"code": 200, "message": "success", dialect.envelope: value}
    return _encode(value, response, dialect)


def _dress_prediction(value: dict[str, Any], dialect: Dialect, now: float) -> dict[str, Any]:
    told = value | {name: _time(value[name], dialect) for name in _TIMES if value.get(name)}
    told["status"] = _word(value["status"], dialect)
    if dialect.charset != "utf-8":
        told["logs"] = f"{value.get('logs') or ''}{_NOTE}"
    if output := value.get("output"):
        urls = [output] if isinstance(output, str) else output
        sign = "" if dialect.signed is None else f"?Expires={now + dialect.signed:.3f}"
        told["output"] = _outputs([url if url.startswith("data:") else url + sign for url in urls], dialect)
    return told


def _outputs(urls: list[str], dialect: Dialect) -> Any:
    return {
        "text": urls[0] if len(urls) == 1 else urls,
        "objects": [{"url": url} for url in urls],
        "images": {"images": [{"url": url, "content_type": "image/webp"} for url in urls]},
        "markdown": [f"![picture]({url})" for url in urls],
        "base64": [url.partition(",")[2] for url in urls],
    }.get(dialect.outputs, urls)


def _word(status: str, dialect: Dialect) -> str:
    if dialect.words == "capitals":
        return status.upper()
    return _SYNONYMS.get(status, status) if dialect.words == "synonyms" else status


def _time(text: str, dialect: Dialect) -> Any:
    seconds = datetime.fromisoformat(text).timestamp()
    return {
        "iso": text,
        "offset": text.replace("Z", "+00:00"),
        "no_zone": text.replace("Z", ""),
        "epoch": seconds,
        "milliseconds": int(seconds * 1000),
        "none": None,
    }[dialect.times]


def _encode(value: Any, response: web.Response, dialect: Dialect) -> web.Response:
    body = json.dumps(value, ensure_ascii=False).encode(dialect.charset)
    headers = {name: text for name, text in response.headers.items() if not name.startswith("Content-")}
    headers |= _HEADERS[dialect.headers]
    headers["Content-Type"] = f"application/json; charset={dialect.charset}"
    if dialect.coding == "wrong_label":
        headers["Content-Encoding"] = "br"
    elif dialect.coding:
        body, headers["Content-Encoding"] = _PACK[dialect.coding](body), dialect.coding
    return web.Response(status=response.status, body=body, headers=headers)


_HEADERS: Mapping[str, Mapping[str, str]] = {
    "plain": {},
    "large": {"Content-Security-Policy": "default-src 'self' " + "https://cdn.example.com " * 420},
    "many": {f"X-Trace-{number}": "1" for number in range(200)},
    "odd": {"X-Powered-By": "PHP é", "X-Region": "华东"},
}
