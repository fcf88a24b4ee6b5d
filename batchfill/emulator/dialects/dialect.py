"""How a gateway's answers differ in form from Replicate's."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Literal, get_args

if TYPE_CHECKING:
    from collections.abc import Mapping

Envelope = Literal["", "data", "result", "response"]
IdKey = Literal["id", "task_id", "location"]
Words = Literal["replicate", "capitals", "synonyms"]
Times = Literal["iso", "offset", "no_zone", "epoch", "milliseconds", "none"]
Outputs = Literal["list", "text", "objects", "images", "markdown", "inline", "base64"]
Coding = Literal["", "gzip", "deflate", "br", "zstd", "wrong_label"]
Charset = Literal["utf-8", "utf-16", "gbk"]
Headers = Literal["plain", "large", "many", "odd"]
Keys = Literal["ignored", "honoured"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """The manners of one gateway; the defaults are Replicate's."""

    envelope: Envelope = ""
    """The key below which an answer has what Replicate has at the top."""
    id_key: IdKey = "id"
    """Where the answer to a create has the id: its key, or only the Location of a 303."""
    words: Words = "replicate"
    """For the status of a prediction."""
    times: Times = "iso"
    outputs: Outputs = "list"
    """The form of `output`."""
    coding: Coding = ""
    """In which answers are packed, unasked."""
    charset: Charset = "utf-8"
    headers: Headers = "plain"
    """Those of every answer: large ones, many, or ones with characters that HTTP forbids."""
    keys: Keys = "ignored"
    """What becomes of `Idempotency-Key`; honoured: the same create with a known key makes nothing new."""
    signed: float | None = None
    """Seconds after which an output's address is refused; each look at the prediction names a new one."""


_VALUES: Mapping[str, Any] = {
    "envelope": Envelope,
    "id_key": IdKey,
    "words": Words,
    "times": Times,
    "outputs": Outputs,
    "coding": Coding,
    "charset": Charset,
    "headers": Headers,
    "keys": Keys,
}
VALUES: Mapping[str, tuple[str, ...]] = {name: get_args(kind) for name, kind in _VALUES.items()}
"""What each manner may be, the usual first."""

MANNERS = tuple(field.name for field in fields(Dialect))


def check_manner(name: str, value: Any) -> None:
    """Raise ValueError where a dialect cannot have *value* as its manner *name*."""
    if name == "signed":
        if not isinstance(value, int | float) or isinstance(value, bool) or value < 0:
            raise ValueError(f"signed must be a number of seconds, not {value!r:.60}")
    elif value not in VALUES[name]:
        known = ", ".join(word or "''" for word in VALUES[name])
        raise ValueError(f"{name} must be one of {known}, not {value!r:.60}")
