"""What a Cog container says, read by tables: of its health, and of a run that it was given."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

_SHOWN = 300
"""Characters of a container's words that a message repeats."""

_KEPT = 20_000
"""Characters of an error's beginning, and of a log's end, that are kept."""


class ContainerState(Enum):
    """How a container is, seen from the pool."""

    UNKNOWN = "not looked at yet"
    READY = "ready"
    BUSY = "busy"
    """Every slot is in use, perhaps by others."""
    STARTING = "its model is loading"
    ENDED = "its model server has ended"
    """It answers but never runs anything again until it is restarted."""
    AWAY = "cannot be reached"
    STRANGE = "is no container of this pool"
    RESTING = "has trouble of its own"


ALIVE = frozenset({ContainerState.READY, ContainerState.BUSY})

_HEALTH = {
    "READY": ContainerState.READY,
    "BUSY": ContainerState.BUSY,
    "STARTING": ContainerState.STARTING,
    "UNKNOWN": ContainerState.STARTING,
    "SETUP_FAILED": ContainerState.ENDED,
    "DEFUNCT": ContainerState.ENDED,
    "UNHEALTHY": ContainerState.ENDED,
}
"""Cog's words, of 0.16 and 0.23."""


@dataclass(frozen=True, slots=True)
class Health:
    """One answer of `/health-check`, or its absence."""

    state: ContainerState
    words: str = ""
    """Why it is not ready, and what to do; empty where the state says it all."""
    incarnation: str = ""
    """Another one after each start of the container; empty where it is not told."""
    many: bool = False
    """Whether it may take several runs at once (coglet)."""


def read_health(status: int, body: bytes) -> Health:
    """Return what the answer of `/health-check` says."""
    told = _read_object(body)
    word = told.get("status") if told is not None else None
    if told is None or not isinstance(word, str) or not ("setup" in told or word in _HEALTH):
        return Health(ContainerState.STRANGE, f"is no Cog container: {_shown_body(status, body)}")
    state = _HEALTH.get(word, ContainerState.STARTING)
    setup = told["setup"] if isinstance(told.get("setup"), dict) else {}
    version = told["version"] if isinstance(told.get("version"), dict) else {}
    return Health(
        state,
        _explain_end(word, told, setup) if state is ContainerState.ENDED else "",
        str(setup.get("started_at") or ""),
        "coglet" in version,
    )


def _explain_end(word: str, told: Mapping[str, Any], setup: Mapping[str, Any]) -> str:
    if word == "SETUP_FAILED":
        last = _last_line(str(setup.get("logs") or ""))
        return f"its model could not be loaded{f' ({last})' if last else ''}: see its logs, restart it"
    why = told.get("user_healthcheck_error")
    said = f" ({_shorten(str(why), _SHOWN)})" if why else ""
    return f"its model's process has ended; it says {word}{said}: restart it"


class AnswerKind(Enum):
    """What to do with a prediction after an answer."""

    MADE = auto()
    FAILED = auto()
    """The row's own failure, in the model's words."""
    TAKEN = auto()
    """The container is busy: nothing has begun."""
    RUNNING = auto()
    """The container runs this very prediction, begun before: its result cannot be had."""
    UNREACHED = auto()
    """The container was not there: nothing has begun."""
    LOST = auto()
    """The run broke off, or its result is lost: another container is to try."""
    TROUBLE = auto()
    """The container's own trouble, which the next row would meet too."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a run."""

    kind: AnswerKind
    words: str = ""
    outputs: tuple[str, ...] = ()
    """Data URLs, where pictures were made."""
    logs: str = ""


_BROKEN_OFF = re.compile(r"worker crashed|worker process (?:exited|died)|out of memory", re.IGNORECASE)
"""Failures of a run that another try may not meet: the model's process died, or found no memory."""

_TROUBLES = {
    "its disk is full": r"no space left on device|disk quota exceeded|errno 28\b",
    "its disk cannot be written": r"read-only file system|errno 30\b|failed to create output dir",
    "its disk fails": r"\binput/output error|errno 5\b",
    "its GPU fails": r"cuda (?:driver )?error(?!: out of memory)|cuda-capable device|nvml|device-side assert"
    r"|no cuda gpus are available",
}
"""Failures of a run that say that the machine is at fault: what it is, and how they are worded."""


_TAKEN = {202: AnswerKind.RUNNING, 409: AnswerKind.TAKEN}

_PREFIX = re.compile(r"^(?:Prediction failed: )+")
"""What coglet puts before the model's own words, twice."""


def read_answer(status: int, body: bytes) -> Answer:
    """Return what the answer to a run means."""
    if status in _TAKEN:
        return Answer(_TAKEN[status])
    told = _read_object(body)
    if status == 422 and told is not None:
        return Answer(AnswerKind.FAILED, _invalid_words(told))
    if status != 200 or told is None or "status" not in told:
        return _judge_failure(f"the container answered {_shown_body(status, body)}", AnswerKind.LOST)
    logs = str(told.get("logs") or "")[-_KEPT:]
    if told["status"] == "succeeded":
        return _read_outputs(told.get("output"), logs)
    if told["status"] == "failed":
        error = str(told.get("error") or "the model failed without a word").strip()
        return _judge_failure(_PREFIX.sub("", error)[:_KEPT], AnswerKind.FAILED, logs)
    return Answer(AnswerKind.LOST, f"the run ended as {_shorten(str(told['status']), _SHOWN)}", logs=logs)


def _judge_failure(words: str, otherwise: AnswerKind, logs: str = "") -> Answer:
    for trouble, pattern in _TROUBLES.items():
        if re.search(pattern, words, re.IGNORECASE):
            return Answer(AnswerKind.TROUBLE, f"{trouble} ({_shorten(words, _SHOWN)})", logs=logs)
    if _BROKEN_OFF.search(words):
        return Answer(AnswerKind.LOST, words, logs=logs)
    return Answer(otherwise, words, logs=logs)


def _read_outputs(output: object, logs: str) -> Answer:
    values = output if isinstance(output, list) else [output]
    pictures = tuple(value for value in values if isinstance(value, str) and value.startswith("data:"))
    if pictures and len(pictures) == len(values):
        return Answer(AnswerKind.MADE, outputs=pictures, logs=logs)
    shown = next((value for value in values if value not in pictures), None)
    what = f"{_shorten(str(shown), 80)!r} instead of a picture" if values and shown is not None else "nothing"
    return Answer(AnswerKind.FAILED, f"the model returned {what}", logs=logs)


def _invalid_words(told: Mapping[str, Any]) -> str:
    """Return what a 422 says: `seed: value is not a valid integer`."""
    detail = told.get("detail")
    lines = [
        f"{'.'.join(map(str, _list_of(item.get('loc'))[2:])) or 'input'}: {item.get('msg', 'is invalid')}"
        for item in _list_of(detail)
        if isinstance(item, dict)
    ]
    return "the model does not take these inputs: " + ("; ".join(lines) or _shorten(str(detail), _SHOWN))


def _list_of(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _shown_body(status: int, body: bytes) -> str:
    """Return an answer that is not as expected, for a person: `502 with a web page (Bad Gateway)`."""
    text = " ".join(body[:4000].decode("utf-8", "replace").split())
    if re.match(r"<(?:!doctype|html|head)", text, re.IGNORECASE):
        title = re.search(r"<(title|h1)[^>]*>(.*?)</\1>", text, re.IGNORECASE)
        return f"{status} with a web page" + (f" ({_shorten(title[2].strip(), 80)})" if title else "")
    return f"{status}" + (f": {_shorten(text, _SHOWN)}" if text else " and nothing else")


def _read_object(body: bytes) -> dict[str, Any] | None:
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return told if isinstance(told, dict) else None


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return _shorten(lines[-1].strip(), _SHOWN) if lines else ""


def _shorten(text: str, most: int) -> str:
    """Return *text* on one line of at most so many characters."""
    line = " ".join(text[: 4 * most].split())
    return line if len(line) <= most else f"{line[:most]}…"
