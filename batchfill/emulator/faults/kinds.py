"""The kinds of faults: which call each can strike, and what it can be told."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from batchfill.emulator.responses import FORMS
from batchfill.errors import did_you_mean_or_known

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

CALLS = frozenset({"create", "get", "list", "cancel", "files", "account", "model", "output"})
ANY = "any"
"""In a rule: whatever the call."""

MEMBERS = ("at", "first", "times", "probability", "after", "before")
"""What narrows any rule down: which requests, how often, when."""

OPTIONS: Mapping[str, frozenset[str]] = {
    # Any call: an answer of `status`; `late` lets the request take effect first. Without `body` (text, or
    # something for JSON) the documented one; `form` and `seconds` choose among those of 429.
    "status": frozenset({"status", "body", "headers", "content_type", "late", "form", "seconds"}),
    "down": frozenset(),  # no service is there: every connection is reset, nothing takes effect
    "reset_before": frozenset(),  # the connection is reset, nothing took effect
    "reset_after": frozenset(),  # it took effect, then the connection is reset
    "delay": frozenset({"seconds"}),  # it took effect, the answer comes so many seconds later
    "cut": frozenset(),  # half of the answer's body, then the end of the connection
    "invalid_json": frozenset(),
    "no_id": frozenset(),
    "missing": frozenset({"status"}),  # the call is not offered: 404, or 405
    # What becomes of a create, and of the prediction that it makes.
    "taken_late": frozenset({"seconds"}),  # it takes effect so many seconds later, client or no client
    "fail": frozenset({"error"}),  # with a text, or one of the documented errors by its name
    "nsfw": frozenset(),
    "aborted": frozenset(),
    "stuck": frozenset(),  # `processing` until it is canceled, or its deadline
    "never_starts": frozenset(),  # `starting` until it is canceled, or its deadline
    "fewer": frozenset({"count"}),  # so many outputs are left out; one stays
    # A cancel.
    "loses": frozenset(),  # it is taken, and the prediction goes on to its end all the same
    # How an output is served.
    "garbage": frozenset(),  # right length, wrong bytes
    "html": frozenset(),
    "wrong_length": frozenset(),  # half of the file under a Content-Length that agrees
    "slow": frozenset({"seconds"}),  # a pause in the middle
    "expired": frozenset(),  # an ended prediction's data is removed as it, or its output, is asked for
    # What a list shows.
    "empty": frozenset(),
    "lagging": frozenset({"seconds"}),  # nothing younger than this
    "filtered": frozenset({"count", "share"}),  # without the newest so many, or a share by chance
    "without_inputs": frozenset(),
    "strangers": frozenset({"count", "input"}),  # so many predictions of another user on top
}
"""Every kind, with the options that it takes."""

FATES = frozenset({"fail", "nsfw", "aborted", "stuck", "never_starts", "fewer"})
SERVINGS = frozenset({"garbage", "html", "wrong_length", "slow"})
LISTINGS = frozenset({"empty", "lagging", "filtered", "without_inputs", "strangers"})

_ONLY: Mapping[str, frozenset[str]] = {
    **dict.fromkeys(FATES | {"taken_late"}, frozenset({"create"})),
    **dict.fromkeys(SERVINGS, frozenset({"output"})),
    **dict.fromkeys(LISTINGS, frozenset({"list"})),
    "expired": frozenset({"output", "get"}),
    "loses": frozenset({"cancel"}),
    "missing": frozenset({"list", "cancel", "files", "account", "model"}),
    "no_id": frozenset({"create", "get", "cancel"}),
    "invalid_json": CALLS - {"output"},
}
"""Kinds that make sense for some calls only."""

_NEEDED = {"status": "status"}
"""Kinds that say nothing without an option."""


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_at_least(least: int) -> Callable[[Any], bool]:
    return lambda value: _is_whole(value) and value >= least


def _is_json(value: Any) -> bool:
    try:
        return value is not None and bool(json.dumps(value, allow_nan=False))
    except (TypeError, ValueError, RecursionError):
        return False


def _are_headers(value: Any) -> bool:
    texts = [*value, *map(str, value.values())] if isinstance(value, dict) else [None]
    return all(isinstance(text, str) and text.isprintable() for text in texts)


_SECONDS: tuple[Callable[[Any], bool], str] = (
    lambda value: _is_number(value) and 0 <= value < float("inf"),
    "a number of seconds",
)
_COUNT = (_is_at_least(0), "a whole number")
_POSITION = (_is_at_least(1), "a whole number from 1 on")
_SHARE: tuple[Callable[[Any], bool], str] = (
    lambda value: _is_number(value) and 0 <= value <= 1,
    "a number from 0 to 1",
)

_VALUES: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "at": (
        lambda value: isinstance(value, list | frozenset) and all(map(_is_at_least(1), value)),
        "a list of positions such as [3, 17]",
    ),
    "first": _POSITION,
    "times": _POSITION,
    "probability": _SHARE,
    "after": _SECONDS,
    "before": _SECONDS,
    "seconds": _SECONDS,
    "count": _COUNT,
    "share": _SHARE,
    "status": (lambda value: _is_whole(value) and 200 <= value <= 599, "a status from 200 to 599"),
    "late": (lambda value: isinstance(value, bool), "true or false"),
    "form": (lambda value: value in FORMS, f"one of {', '.join(FORMS)}"),
    "error": (lambda value: isinstance(value, str), "a text"),
    "content_type": (lambda value: isinstance(value, str), "a text"),
    "body": (_is_json, "a text, or something for JSON"),
    "input": (lambda value: isinstance(value, dict) and _is_json(value), "names and values"),
    "headers": (_are_headers, "names and texts of one line"),
    "seed": (_is_whole, "a whole number"),
    "clock_skew": (lambda value: _is_number(value) and abs(value) < float("inf"), "a number of seconds"),
    "per_minute": (lambda value: _is_number(value) and 0 < value < float("inf"), "a number above 0"),
    "burst": _POSITION,
}
"""What each member and option of a rule, and each setting of a plan, must be: a test, and words for it."""


def check_value(name: str, value: Any) -> None:
    """Raise ValueError when what goes by that name is not what it must be."""
    fits, words = _VALUES[name]
    if not fits(value):
        raise ValueError(f"{name} must be {words}, not {value!r:.60}")


def check_kind(call: str, kind: str, options: Mapping[str, Any]) -> None:
    """Raise ValueError when there is no such fault."""
    if call not in CALLS | {ANY}:
        raise ValueError(unknown_name("call", call, {*CALLS, ANY}))
    if kind not in OPTIONS:
        raise ValueError(unknown_name("fault", kind, OPTIONS))
    if not ({call} if call != ANY else CALLS) <= _ONLY.get(kind, CALLS):
        raise ValueError(
            f"the fault {kind} does not exist for the call {call}, only for {', '.join(sorted(_ONLY[kind]))}"
        )
    for name in options:
        if name not in OPTIONS[kind]:
            raise ValueError(unknown_name(f"option of {kind}", name, {*OPTIONS[kind], *MEMBERS}))
    if kind in _NEEDED and _NEEDED[kind] not in options:
        raise ValueError(f"the fault {kind} needs the option {_NEEDED[kind]}")


def unknown_name(what: str, name: object, known: Iterable[str]) -> str:
    """Return what to tell of a *name* that does not exist."""
    return f"unknown {what} {name!r:.60}{did_you_mean_or_known(str(name), sorted(known))}"
