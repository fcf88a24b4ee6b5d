"""How the text of each setting is read, and which settings a manifest may hold."""

from __future__ import annotations

import re
from datetime import time
from decimal import Decimal, InvalidOperation
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from batchfill.domain.findings import FLAGS
from batchfill.domain.review import Decision
from batchfill.domain.rows import RowState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

FLUX_FILL_DEV = "black-forest-labs/flux-fill-dev"
MILLION = 1_000_000
RETRYABLE = frozenset({RowState.FAILED, RowState.EXPIRED, RowState.IN_DOUBT, RowState.DONE})
MISSING = "missing"
"""What --retry takes besides states: rows that are done, and whose files are no longer there."""
DECIDED = {decision.value: decision for decision in (Decision.REJECTED, Decision.REDO)}
"""And rows of whose pictures this was decided."""
FLAGGED = {f"flagged:{flag}": flag for flag in FLAGS}
"""And rows with a picture that is flagged so."""


def _number_reader(low: float, high: float, *, whole: bool) -> Callable[[str], Any]:
    def read(text: str) -> int | float:
        kind = "a whole number" if whole else "a number"
        try:
            value: int | float = int(text) if whole else float(text)
        except ValueError:
            raise ValueError(f"must be {kind}, not {text!r}") from None
        if not low <= value <= high:
            raise ValueError(f"must be between {low:g} and {high:g}, not {text}")
        return value

    return read


def _choice_reader(*words: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text in words:
            return text
        raise ValueError(f"must be {' or '.join(words)}, not {text!r}")

    return read


def read_money(text: str) -> int:
    """Read an amount such as `25` or `0.04` as millionths. Raises ValueError."""
    try:
        amount = Decimal(text)
    except InvalidOperation:
        amount = Decimal(-1)
    if not (amount.is_finite() and 0 <= amount <= 10**9):
        raise ValueError(f"must be an amount of money such as 25 or 0.04, not {text!r}")
    return round(amount * MILLION)


def _read_cap(text: str) -> int | None:
    return None if text.strip().lower() == "none" else read_money(text)


def _read_time(text: str) -> time:
    match = re.fullmatch(r"(\d{1,2}):(\d{2})", text.strip())
    if match and int(match[1]) < 24 and int(match[2]) < 60:
        return time(int(match[1]), int(match[2]))
    raise ValueError(f"must be a time of day such as 07:30, not {text!r}")


def _read_model(text: str) -> str:
    if re.fullmatch(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", text):
        return text
    raise ValueError(f"must be OWNER/NAME such as {FLUX_FILL_DEV}, not {text!r}")


def _read_keep(text: str) -> bool:
    return _choice_reader("keep", "refuse")(text) == "keep"


READERS: Mapping[str, Callable[[str], Any]] = {
    "model": _read_model,
    "concurrency": _number_reader(1, 1000, whole=True),
    "rate": _number_reader(0.1, 100_000, whole=False),
    "attempts": _number_reader(1, 100, whole=True),
    "limit": _number_reader(1, 10**9, whole=True),
    "accept_loss": _number_reader(1, 10**9, whole=True),
    "max_cost": _read_cap,
    "until": _read_time,
    "prediction_timeout": _number_reader(5, 86_400, whole=False),
    "recover_wait": _number_reader(0, 86_400, whole=False),
    "answer_timeout": _number_reader(1, 3600, whole=False),
    "extra_columns": _read_keep,
    "encoding": str,
    "price": read_money,
    "send": _choice_reader("fitted", "original"),
    "latency": _number_reader(0, 3600, whole=False),
}
"""The reader of each scalar setting; each raises ValueError with what was expected."""

IN_MANIFEST = frozenset(
    {"model", "concurrency", "rate", "attempts", "max_cost", "until", "prediction_timeout"}
    | {"extra_columns", "encoding", "price", "send"}
)
"""Scalar settings that a manifest may hold; besides them `defaults` and `column`, which are mappings."""

FORBIDDEN = frozenset(
    {"base_url", "base", "out", "retry", "local", "allow_outside", "model_schema", "token", "same_account"}
    | {
        "accept_loss",
        "id",
        "limit",
        "skip_bad",
        "recover_wait",
        "answer_timeout",
        "yes",
        "quiet",
        "latency",
        "notify",
    }
)
"""Settings that exist but that a manifest, which may come from a stranger, must not hold."""


def read_setting(name: str, text: str) -> Any:
    """Read one scalar setting. Raises ValueError: `concurrency must be between 1 and 1000, not -3`."""
    try:
        return READERS[name](text)
    except ValueError as error:
        raise ValueError(f"{name} {error}") from None


def explain_unknown(name: str, also: Iterable[str] = ()) -> str:
    """Return what to tell somebody whose manifest holds the setting *name*; *also* names those of rows."""
    if name in FORBIDDEN:
        return f"{name} cannot be set in a manifest: give it on the command line"
    known = sorted({*IN_MANIFEST, *also, "defaults", "column", "rows"})
    near = get_close_matches(name, known, 1)
    hint = f"; did you mean {near[0]}?" if near else f"; known are {', '.join(known)}"
    return f"unknown setting {name}{hint}"


def read_retry(text: str) -> frozenset[RowState]:
    """Read the states of `failed,expired,missing`. Raises ValueError for words that --retry does not take."""
    states = {state.value.replace("_", "-"): state for state in RETRYABLE}
    known = [*states, MISSING, *DECIDED, *FLAGGED]
    words = _split_words(text)
    for word in words:
        if word not in known:
            raise ValueError(f"takes {', '.join(sorted(known))}, not {word!r}")
    return frozenset(states[word] for word in words if word in states)


def read_decided(text: str) -> frozenset[Decision]:
    """Read the decisions of `failed,rejected`."""
    return frozenset(DECIDED[word] for word in _split_words(text) if word in DECIDED)


def read_flagged(text: str) -> frozenset[str]:
    """Read the flags of `failed,flagged:blank`."""
    return frozenset(FLAGGED[word] for word in _split_words(text) if word in FLAGGED)


def read_missing(text: str) -> bool:
    """Whether `failed,missing` asks for lost files too."""
    return MISSING in _split_words(text)


def _split_words(text: str) -> list[str]:
    return [word for part in text.split(",") if (word := part.strip().lower().replace("_", "-"))]
