"""The one JSON that the page reads, and that anybody may; FORMAT.md next to this module describes it."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from batchfill.domain.drawn_masks import NOTHING, read_drawn_mask
from batchfill.domain.json_objects import amounts_object, counts_object, iso_time
from batchfill.domain.money import MILLION, currency_units
from batchfill.domain.rows import RowState
from batchfill.images.codec.thumbnail import key_of
from batchfill.review.statistics import make_timeline, run_times, working_time

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from batchfill.domain.drawn_masks import DrawnMask
    from batchfill.domain.enlargement import Enlargement
    from batchfill.domain.reports import EndedAttempt, ReviewFile, ReviewPicture, ReviewRow, RowWords, Status

FORMAT = 1
DOCUMENT_END = "\n]}"

encode_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
"""Returns a value as JSON on one line."""


def encode_document(head: Mapping[str, Any], rows: Iterable[str], brief: Sequence[str] = ()) -> str:
    """Return a JSON object of *head* and the encoded *rows*, and *brief* ones: entries of the index."""
    lines = ",\n".join(rows)
    end = f'\n],"brief":[{",".join(brief)}]}}' if brief else DOCUMENT_END
    return f"{document_start(head)}{lines}{end}"


def document_start(head: Mapping[str, Any]) -> str:
    """Return what stands before the rows, which are joined by a comma and the end of a line."""
    return f'{encode_json(head)[:-1]},"rows":[\n'


def head_object(status: Status, course: Mapping[str, Any], pictures: int | None) -> dict[str, Any]:
    """Return everything but the rows; *pictures*: how many finished ones there are; None: not counted yet."""
    return {
        "format": FORMAT,
        "manifest": status.manifest,
        "model": status.model,
        "base": status.base,
        "running": status.running,
        "started_at": iso_time(status.started_at),
        "updated_at": iso_time(status.updated_at),
        "stopped_because": status.stopped_because,
        "counts": counts_object(status.counts),
        "reasons": [{"reason": reason, "rows": rows} for reason, rows in status.reasons.items()],
        "cost": _cost_object(status, pictures),
        "pictures": pictures,
        **course,
    }


def course_object(history: Sequence[EndedAttempt]) -> dict[str, Any]:
    """Return the part of the head that tells how the batch went."""
    return {
        "seconds": round(working_time(history), 1),
        "course": _timeline_object(history),
        "run_times": _run_times(history),
    }


def pictures_of(exhibit: ReviewRow) -> int:
    """Return how many finished pictures a row has."""
    return len(exhibit.outputs) if exhibit.result.state is RowState.DONE else 0


def row_object(exhibit: ReviewRow) -> dict[str, Any]:
    """Return one row; what is unknown or empty is left out."""
    result = exhibit.result
    fields = {
        "id": result.id,
        "line": result.line,
        "state": result.state.value,
        "image": _input_object(result.image, exhibit.files.get("image"), exhibit),
        "mask": _mask_object(exhibit),
        "prompt": result.prompt,
        "seed": result.seed,
        "outputs": [_output_object(output) for output in exhibit.outputs],
        "earlier": [_output_object(output) for output in exhibit.earlier],
        "attempts": result.attempts,
        "cost": currency_units(result.cost),
        "run_time": None if exhibit.run_time is None else round(exhibit.run_time, 3),
        "ended_at": iso_time(exhibit.ended_at),
        "prediction_id": result.prediction_id,
        "error": result.error,
        "decision": result.decision,
        "chosen": result.chosen,
        "redo": _redo_object(exhibit),
        "inputs": dict(exhibit.inputs),
        "changed_inputs": dict(result.changed_inputs),
        "columns": dict(result.extra),
    }
    return {name: value for name, value in fields.items() if value or value == 0}


def words_object(words: RowWords) -> dict[str, Any]:
    """Return what a row is searched by, as the row itself has it."""
    fields = {
        "prompt": words.prompt,
        "seed": words.seed,
        "inputs": dict(words.inputs),
        "columns": dict(words.extra),
    }
    return {name: value for name, value in fields.items() if value or value == 0}


def drawn_mask_of(exhibit: ReviewRow) -> DrawnMask | None:
    """Return the mask that a row draws on its local picture; None where it is a file, or at an address."""
    if "mask" in exhibit.files or "image" not in exhibit.files:
        return None
    if not exhibit.result.mask and exhibit.enlargement is not None:
        return NOTHING
    try:
        return read_drawn_mask(exhibit.result.mask)
    except ValueError:
        return None


def shown_digest(
    content: str, mask: DrawnMask | None, canvas: Enlargement | None, *, filled: bool = False
) -> str:
    """Return 64 hex digits for what is shown of a file, whose *content* has this digest.

    *mask*: what is drawn on it and shown instead; *canvas*: how it is enlarged; *filled*: it is a mask.
    """
    words = [] if mask is None else [mask.text]
    if canvas is not None:
        words += [str(canvas), canvas.anchor, "filled" * filled]
    return sha256(" ".join([content, *words]).encode()).hexdigest() if words else content


def _mask_object(exhibit: ReviewRow) -> dict[str, Any]:
    if (mask := drawn_mask_of(exhibit)) is None:
        return _input_object(exhibit.result.mask, exhibit.files.get("mask"), exhibit, filled=True)
    digest = shown_digest(exhibit.files["image"].sha256, mask, exhibit.enlargement, filled=True)
    return {"name": mask.text, "key": key_of(digest)}


def _input_object(
    name: str, file: ReviewFile | None, exhibit: ReviewRow, *, filled: bool = False
) -> dict[str, Any]:
    if not name:
        return {}
    if file is None:
        return {"name": name}
    return {"name": name, "key": key_of(shown_digest(file.sha256, None, exhibit.enlargement, filled=filled))}


def _output_object(output: ReviewPicture) -> dict[str, Any]:
    flags = {"flags": list(output.flags)} if output.flags else {}
    return {"n": output.n, "file": output.file, "key": key_of(output.sha256), **flags}


def _redo_object(exhibit: ReviewRow) -> dict[str, Any]:
    asked = {"prompt": exhibit.redo_prompt, "seed": exhibit.redo_seed, "inputs": exhibit.redo_inputs}
    return {name: value for name, value in asked.items() if value is not None}


def _cost_object(status: Status, pictures: int | None) -> dict[str, Any]:
    cost = status.cost
    each = cost.spent / pictures if cost.spent is not None and pictures else None
    return {
        **amounts_object(cost),
        "per_picture": None if each is None else round(each / MILLION, 6),
        "currency": cost.currency,
        "rehearsal": cost.rehearsal,
    }


def _timeline_object(history: Sequence[EndedAttempt]) -> dict[str, Any] | None:
    found = make_timeline(history)
    if found is None:
        return None
    return {
        "begun_at": iso_time(found.begun_at),
        "step": found.step,
        "done": found.done,
        "failed": found.failed,
        "spent": [amount / MILLION for amount in found.spent],
    }


def _run_times(history: Sequence[EndedAttempt]) -> dict[str, Any] | None:
    found = run_times(history)
    if found is None:
        return None
    return {
        "step": found.step,
        "counts": found.counts,
        "median": round(found.median, 3),
        "slow": round(found.slow, 3),
    }
