"""What the service says: predictions and refusals in the shapes of the Replicate API."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tests.bench.wire import Answer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.bench.predictions import Made

PROBLEM = "application/problem+json"

ACCOUNT = {"type": "user", "username": "bench", "name": "bench", "github_url": None}

FIELDS = {
    "prompt": {"type": "string"},
    "image": {"type": "string", "format": "uri"},
    "mask": {"type": "string", "format": "uri"},
    "seed": {"type": "integer"},
}


def answer(value: object, status: int = 200) -> Answer:
    """Return *value* as JSON."""
    return Answer(status, json.dumps(value).encode())


def prediction(made: Made, *, status: str, base: str, output: str) -> dict[str, object]:
    """Return a prediction as the service shows it; *output* is the address of its picture."""
    ended = status == "succeeded"
    lasted = round(made.ends_at - made.created_at, 3)
    here = f"{base}/predictions/{made.id}"
    return {
        "id": made.id,
        "model": made.model,
        "version": "hidden",
        "input": made.input,
        "logs": f"Using seed: {made.input.get('seed')}\n" if ended else "",
        "output": [output] if ended else None,
        "data_removed": False,
        "error": None,
        "status": status,
        "created_at": moment(made.created_at),
        "started_at": None if status == "starting" else moment(made.created_at),
        "completed_at": moment(made.ends_at) if ended else None,
        "metrics": {"predict_time": lasted, "total_time": lasted} if ended else {},
        "urls": {"cancel": f"{here}/cancel", "get": here, "web": f"{base}/p/{made.id}"},
    }


def model(name: str) -> dict[str, object]:
    """Return what the service tells of a model."""
    owner, _, name = name.partition("/")
    schemas = {"Input": {"type": "object", "title": "Input", "required": ["prompt"], "properties": FIELDS}}
    version = {"id": "hidden", "openapi_schema": {"components": {"schemas": schemas}}}
    return {"owner": owner, "name": name, "visibility": "public", "latest_version": version}


def throttled(seconds: float) -> Answer:
    """Return the refusal of a create that may come again in *seconds*."""
    whole = math.ceil(seconds)
    body = {
        "detail": f"Request was throttled. Your rate limit resets in ~{whole}s.",
        "status": 429,
        "retry_after": whole,
    }
    return Answer(429, json.dumps(body).encode(), PROBLEM, {"Retry-After": str(whole)})


def not_found() -> Answer:
    """Return the answer for a path or a prediction that is not there."""
    body = {"detail": "The requested resource could not be found.", "status": 404}
    return Answer(404, json.dumps(body).encode(), PROBLEM)


def invalid(detail: str) -> Answer:
    """Return the refusal of a create that cannot be understood."""
    body = {"title": "Input validation failed", "detail": f"- {detail}\n", "status": 422}
    return Answer(422, json.dumps(body).encode(), PROBLEM)


def moment(seconds: float) -> str:
    """Return a time as the service writes it: `2025-07-30T03:03:25.864Z`."""
    # It is a whole number of milliseconds already, which a float may miss by a hair.
    exact = datetime.fromtimestamp(round(seconds * 1000) / 1000, UTC)
    return exact.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def read_window(query: Mapping[str, str]) -> tuple[float, float, int | None]:
    """Return from when, before when and below which number a list is asked for."""
    if "cursor" in query:
        after, _, below = query["cursor"].partition("_")
        return float(after), math.inf, int(below)
    return (
        _read_moment(query.get("created_after"), -math.inf),
        _read_moment(query.get("created_before"), math.inf),
        None,
    )


def next_page(base: str, after: float, below: int | None) -> bytes:
    """Return the next page's address in JSON; null behind the last."""
    return b"null" if below is None else json.dumps(f"{base}/predictions?cursor={after}_{below}").encode()


def _read_moment(text: str | None, otherwise: float) -> float:
    return otherwise if text is None else datetime.fromisoformat(text).timestamp()
