"""What the service's answers hold, read defensively: pure functions from bytes to values."""

from __future__ import annotations

import binascii
import math
import re
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

from batchfill.domain.predictions import Prediction, Upload, is_own_id
from batchfill.domain.rows import inline_note
from batchfill.providers.error_text import one_line, parse_json, without_queries, words_of
from batchfill.providers.manners import ENVELOPES, STATUSES
from batchfill.providers.output_forms import find_outputs, safety_remark
from batchfill.providers.redaction import MARK

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

LONGEST_ID = 200
LONGEST_ERROR = 1000
LONGEST_INPUT = 100_000
"""Characters of one input that is kept to be compared: no row holds more."""

LONGEST_NOTE = 1000
"""Characters that are kept of a data URL whose content cannot be read."""

LONGEST_URL = 10_000
EARLIEST = 946_684_800.0
"""The year 2000. A number before it is no time since the epoch."""

LONGEST_MOMENT = 200
"""Characters of a time: what is longer is none, and not worth to be remembered."""

_LARGEST = 1e15
LATEST = 4_102_444_800.0
"""The year 2100. Times behind it, or before 1970, are none: some programs write the year 1 for no time."""

_MOMENT = re.compile(
    r"\s*(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:[.,](\d{1,99}))?\s*([Zz]|([+-])(\d\d):?(\d\d))?\s*",
    re.ASCII,
)
_SEED = re.compile(r"Using seed: (\d{1,20})\b", re.ASCII)
_NO_SEED = 2**63
_MEANS = {word: status for status, words in STATUSES.items() for word in words}


def prediction_of(value: Any) -> Prediction:
    """Read a prediction from its JSON value; every key but `id` may be missing. Raises ValueError."""
    if not isinstance(value, dict):
        raise ValueError("the answer is not a prediction")  # noqa: TRY004 - bad bytes, not a bad call
    metrics = value.get("metrics")
    outputs = find_outputs(value)
    completed_at, error = read_moment(value.get("completed_at")), _read_error(value.get("error"))
    return Prediction(
        id=check_prediction_id(value.get("id")),
        status=_read_status(value.get("status"), ended=completed_at is not None, made=outputs, error=error),
        created_at=read_moment(value.get("created_at")),
        started_at=read_moment(value.get("started_at")),
        completed_at=completed_at,
        outputs=outputs,
        error=error,
        data_removed=value.get("data_removed") is True,
        input=_read_input(value),
        predict_time=_read_seconds(metrics.get("predict_time")) if isinstance(metrics, dict) else None,
        seed=_read_seed(value),
        filtered=safety_remark(value),
    )


def check_prediction_id(id_: Any) -> str:
    """Return *id_* when a URL can safely be built from it. Raises ValueError."""
    if not isinstance(id_, str) or not id_:
        raise ValueError("the answer holds no prediction id")
    bad = not id_.isprintable() or id_.isspace()
    # An id that holds the token cannot be written down, so a later start could not ask for it.
    # One that looks like ours would never be asked for.
    bad = bad or MARK in id_ or is_own_id(id_)
    if bad or ".." in id_.split("/") or id_ == "." or len(id_) > LONGEST_ID:
        raise ValueError(
            f"the answer holds a prediction id that cannot be used: {one_line(id_, longest=60)!r}"
        )
    return id_


def read_upload(body: bytes) -> Upload:
    """Read what a files call answers. Raises ValueError when it holds no URL to refer to the file by."""
    value = _find_object(parse_json(body), "urls")
    urls = value.get("urls")
    url = urls.get("get") if isinstance(urls, dict) else None
    if not isinstance(url, str) or not _is_plain_url(url):
        raise ValueError("the answer holds no address of the uploaded file")
    return Upload(url, read_moment(value.get("expires_at")))


def read_account(body: bytes) -> str | None:
    """Return `type:username`, None when *body* names no account. Raises ValueError when it is not JSON."""
    value = _find_object(parse_json(body), "username")
    name = value.get("username")
    if not isinstance(name, str) or not name:
        return None
    kind = value.get("type")
    return one_line(f"{kind if isinstance(kind, str) else 'user'}:{name}")


def read_input_schema(body: bytes) -> Mapping[str, Any] | None:
    """Return the Input schema of a model's latest version with its references resolved, None when absent.

    Raises ValueError when *body* is not JSON.
    """
    value: Any = _find_object(parse_json(body), "latest_version")
    for key in ("latest_version", "openapi_schema", "components", "schemas"):
        value = value.get(key) if isinstance(value, dict) else None
    schema = value.get("Input") if isinstance(value, dict) else None
    properties = schema.get("properties") if isinstance(schema, dict) else None
    if not isinstance(value, dict) or not isinstance(schema, dict) or not isinstance(properties, dict):
        return None
    return {
        **schema,
        "properties": {name: _resolve_references(given, value) for name, given in properties.items()},
    }


def _find_object(value: Any, key: str) -> Mapping[str, Any]:
    """Return the object that has *key*: *value*, or what is in its envelope; else an empty one."""
    places = (value, *map(value.get, ENVELOPES)) if isinstance(value, dict) else ()
    return next((place for place in places if isinstance(place, dict) and key in place), {})


def read_moment(value: Any) -> float | None:
    """Return an ISO 8601 time as seconds since the epoch, UTC where it names no offset, else None.

    Some gateways tell seconds or milliseconds since the epoch.
    A time that no service can mean is none.
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _of_number(float(value)) if abs(value) < _LARGEST else None
    return _of_text(value.strip()) if isinstance(value, str) and len(value) <= LONGEST_MOMENT else None


@lru_cache(maxsize=4096)
def _of_text(text: str) -> float | None:
    # Each list tells once more when all that runs was made.
    match = _MOMENT.fullmatch(text)
    if match is None:
        return None
    try:
        whole = datetime(*(int(part) for part in match.groups()[:6]), tzinfo=_read_zone(match))  # type: ignore[misc, arg-type]
        seconds = whole.timestamp() + float(f"0.{match[7] or 0}")
    except (ValueError, OverflowError):
        return None
    return seconds if 0 < seconds < LATEST else None


def _of_number(number: float) -> float | None:
    seconds = number if number < LATEST else number / 1000
    return seconds if EARLIEST < seconds < LATEST else None


def _read_zone(match: re.Match[str]) -> timezone:
    if match[9] is None:
        return UTC
    offset = timedelta(hours=int(match[10]), minutes=int(match[11]))
    return timezone(offset if match[9] == "+" else -offset)


def _read_status(value: Any, *, ended: bool, made: Sequence[str], error: str | None) -> str:
    """Return Replicate's word for a status; an unknown one is judged by what else is said."""
    if isinstance(value, str) and value in _MEANS:
        return _MEANS[value]
    said = one_line(value, longest=40) if isinstance(value, str) and value.strip() else "unknown"
    known = _MEANS.get(re.sub(r"[\s-]+", "_", said.lower()))
    if known is not None:
        return known
    if ended and (made or error):
        return "succeeded" if made else "failed"
    # A prediction with an id has been made: without a word for its state it is followed like any other.
    return said


def running_status(value: Any) -> str | None:
    """Return Replicate's word for a status that says that a prediction runs; None for any other."""
    known = _MEANS.get(value) if isinstance(value, str) else None
    return None if known in Prediction.TERMINAL else known


def _read_error(value: Any) -> str | None:
    if value is None:
        return None  # of nearly all that are listed
    said = words_of(value)
    if not said and isinstance(value, dict):
        said = "; ".join(f"{key}: {item}" for key, item in value.items() if isinstance(item, str | int))
    return one_line(without_queries(said), longest=LONGEST_ERROR) or None


def _read_input(value: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return what a row's input can be compared with: no values inside values, inline pictures as notes."""
    given = value.get("input")
    if not isinstance(given, dict) or not given:
        return None
    return {name: _noted(item) for name, item in given.items() if _is_comparable(item)}


def _noted(item: Any) -> Any:
    """Return the note of a data URL whose content can be read, everything else as it is."""
    if not isinstance(item, str) or not item.startswith("data:"):
        return item
    head, _, text = item.partition(",")
    try:
        content = binascii.a2b_base64(text) if head.endswith(";base64") else unquote_to_bytes(text)
    except ValueError:
        return item[:LONGEST_NOTE]
    return inline_note(content, item)


def _is_plain_url(text: str) -> bool:
    return text.startswith(("https://", "http://")) and text.isprintable() and len(text) <= LONGEST_URL


def _is_comparable(item: Any) -> bool:
    if isinstance(item, str):
        return len(item) <= LONGEST_INPUT or item.startswith("data:")
    return item is None or isinstance(item, int | float)


def _read_seed(value: Mapping[str, Any]) -> int | None:
    given = value.get("input")
    seed = given.get("seed") if isinstance(given, dict) else None
    # 0 asks the model to choose one, which it then tells in the logs.
    if isinstance(seed, int) and not isinstance(seed, bool) and 0 < seed < _NO_SEED:
        return seed
    logs = value.get("logs")
    match = _SEED.search(logs) if isinstance(logs, str) else None
    return int(match[1]) if match and int(match[1]) < _NO_SEED else None


def _read_seconds(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        seconds = float(value)
    except OverflowError:
        return None
    return seconds if math.isfinite(seconds) and seconds >= 0 else None


def _resolve_references(given: Any, schemas: Mapping[str, Any]) -> Any:
    """Merge what `allOf: [{$ref: …}]` refers to into the property that refers to it."""
    parts = given.get("allOf") if isinstance(given, dict) else None
    if not isinstance(parts, list):
        return given
    merged: dict[str, Any] = {}
    for part in parts:
        reference = part.get("$ref") if isinstance(part, dict) else None
        target = schemas.get(reference.rpartition("/")[2]) if isinstance(reference, str) else part
        merged |= target if isinstance(target, dict) else {}
    return merged | {key: value for key, value in given.items() if key != "allOf"}
