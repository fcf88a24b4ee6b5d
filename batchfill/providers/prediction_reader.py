"""Finds a prediction in an answer, whatever a gateway has made of it.

Liberal in what it takes: envelopes, other keys, damaged text. Strict in what it says of it: only an id in the
documented place is *certain*. Any other one has to be confirmed by asking for it.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from batchfill.providers.error_text import TooManyValues, is_html, parse_json, words_of_body
from batchfill.providers.manners import ENVELOPES, IDS, LISTED, SAYING, TELLING
from batchfill.providers.parsing import check_prediction_id, prediction_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from batchfill.domain.predictions import Prediction

SEARCHED = 1_000_000
"""Bytes of a damaged answer that are searched for an id."""

_LOCATION = re.compile(r"/predictions/([^/?#\s]+)/?(?:[?#]|$)")
_WRITTEN_ID = {key: re.compile(rf'"{key}"\s*:\s*"([^"\\]{{1,200}})"') for key in IDS}


def read_created(body: bytes, headers: Mapping[str, str]) -> Prediction:
    """Return what a create call made. Its id is empty where a finished picture came without one.

    Raises ValueError where nothing of the answer is a prediction.
    """
    try:
        value, as_is = _parse_loosely(body)
    except ValueError:
        return _read_damaged(body, headers)
    for found, in_place in _candidates(value):
        prediction = _prediction_in(found)
        if prediction is not None:
            certain = prediction.certain and in_place and as_is
            return prediction if certain else replace(prediction, certain=False)
    if (located := prediction_at(headers)) is not None:
        return located
    raise ValueError("the answer holds no prediction id")


def read_asked(body: bytes, asked: str) -> Prediction:
    """Return the prediction *asked* for by its id, which its answer need not repeat.

    Raises ValueError, with the service's words, where the answer tells of none.
    """
    try:
        value, _ = _parse_loosely(body)
    except ValueError as error:
        raise ValueError(f"the answer cannot be read{_quoted(body) or f': {error}'}") from None
    for found, _ in _candidates(value):
        if _tells_state(found):
            return prediction_of(found | {"id": _id_of(found)[0] or asked})
    raise ValueError(f"the answer is no prediction{_quoted(body)}")


def prediction_at(headers: Mapping[str, str]) -> Prediction | None:
    """Return the prediction that a Location header names, not certain; None where it names none."""
    match = _LOCATION.search(headers.get("location", ""))
    try:
        return None if match is None else _unknown(check_prediction_id(unquote(match[1])))
    except ValueError:
        return None


def results_in(value: Any) -> tuple[Mapping[str, Any], list[Any]] | None:
    """Return a page of a list: what holds its results, and the results; None where *value* is no page."""
    places = [value, *_enveloped(value)] if isinstance(value, dict) else []
    for place in places:
        for key in LISTED:
            if isinstance(results := place.get(key), list):
                return place, results
    return None


def envelope_of(value: Any) -> str:
    """Return the key below which an answer has all that it tells; empty where it has that at its top."""
    if not isinstance(value, dict) or TELLING & value.keys() or _id_of(value)[0]:
        return ""
    inner = (key for key in ENVELOPES if isinstance(value.get(key), dict))
    return next(inner, "")


def _parse_loosely(body: bytes) -> tuple[Any, bool]:
    """Return *body* as JSON, and whether it is no more: no text around it, no text that holds it."""
    try:
        value, as_is = parse_json(body), True
    except TooManyValues:
        raise
    except ValueError:
        as_is = False
        text = body.decode("utf-8", "replace")
        starts = [place for place in (text.find("{"), text.find("[")) if place >= 0]
        if is_html(body) or not starts:
            raise
        try:
            value, _ = json.JSONDecoder().raw_decode(text, min(starts))
        except RecursionError:
            raise ValueError("JSON that is nested too deeply") from None
    if isinstance(value, str) and value.lstrip().startswith(("{", "[")):
        return parse_json(value.encode()), False
    return value, as_is


def _candidates(value: Any) -> Iterator[tuple[dict[str, Any], bool]]:
    """Give each object that may be the prediction, likeliest first, and whether it is in the right place."""
    if isinstance(value, list) and len(value) == 1:
        value = {ENVELOPES[0]: value}
    if not isinstance(value, dict):
        return
    inner = [found for found in _enveloped(value) if _id_of(found)[0] or _tells_state(found)]
    if not TELLING & value.keys():
        yield from ((found, False) for found in inner)
        inner = []
    yield value, True
    yield from ((found, False) for found in inner)


def _enveloped(value: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for key in ENVELOPES:
        found = value.get(key)
        if isinstance(found, list) and len(found) == 1:
            found = found[0]
        if isinstance(found, dict):
            yield found


def _prediction_in(found: dict[str, Any]) -> Prediction | None:
    id_, certain = _id_of(found)
    id_ = id_ or _id_in_address(found.get("urls"))
    if id_:
        prediction = prediction_of(found | {"id": id_})
        return prediction if certain else replace(prediction, certain=False)
    made = prediction_of(found | {"id": "none"})
    return replace(made, id="", certain=False) if made.status == "succeeded" and made.outputs else None


def _id_of(found: Mapping[str, Any]) -> tuple[str, bool]:
    """Return the id that *found* holds, and whether it is in the documented form; empty: it has none."""
    # An error's id is mostly the request's.
    refused = bool(found.get("error")) and not isinstance(found.get("status"), str)
    for key in IDS[:1] if refused else IDS:
        value = found.get(key)
        text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
        try:
            return check_prediction_id(text), key == IDS[0] and text is value and not refused
        except ValueError:
            continue
    return "", False


def _id_in_address(urls: Any) -> str:
    """Return the id that the address of a prediction ends with; empty: there is no such address."""
    address = urls.get("get") if isinstance(urls, dict) else None
    located = prediction_at({"location": address}) if isinstance(address, str) else None
    return "" if located is None else located.id


def _tells_state(found: Mapping[str, Any]) -> bool:
    """Whether *found* says how a prediction stands."""
    return isinstance(found.get("status"), str) or any(found.get(key) for key in SAYING)


def _read_damaged(body: bytes, headers: Mapping[str, str]) -> Prediction:
    """Return the prediction whose id stands in text that is no JSON."""
    text = "" if is_html(body) else body[:SEARCHED].decode("utf-8", "replace")
    for pattern in _WRITTEN_ID.values():
        if (match := pattern.search(text)) is not None:
            return _unknown(check_prediction_id(match[1]))
    if (located := prediction_at(headers)) is not None:
        return located
    raise ValueError("the answer is no JSON, and holds no prediction id")


def _unknown(id_: str) -> Prediction:
    return replace(prediction_of({"id": id_}), certain=False)


def _quoted(body: bytes) -> str:
    said = words_of_body(body)
    return f": {said}" if said else ""
