"""What the review shows, made from the ledger's records."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from batchfill.domain.enlargement import Enlargement, read_aspect, read_expand
from batchfill.domain.objects import ObjectFile
from batchfill.domain.reports import Result, ReviewFile, ReviewPicture, ReviewRow, RowWords
from batchfill.ledger.ledger_rows import STATES, from_ledger, to_changed, to_decision

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping, Sequence

_decode = json.JSONDecoder().raw_decode
"""Reads JSON that SQLite has made, with nothing before it or behind it."""

_SHOWN_APART = frozenset({"image", "mask", "prompt", "seed"})


def _to_review_file(kept: list[Any] | dict[str, Any]) -> ReviewFile:
    if isinstance(kept, dict):
        file = ObjectFile(**kept)
        return ReviewFile(file.address, file.digest, file)
    return ReviewFile(kept[0], kept[3])


@from_ledger
def to_review_row(record: sqlite3.Row) -> ReviewRow:
    """Return a row as the review shows it."""
    # By place: to find each value by its column's name takes twice as long as to make the row of them.
    *told, files, ended_at, run_time, redo_prompt, redo_seed, redo_inputs, given, made, made_before = record
    outputs, inputs = _to_pictures(made), _decode(given)[0]
    expand, aspect, anchor = map(inputs.get, ("expand", "aspect", "anchor"))
    return ReviewRow(
        _to_shown_result(told, outputs),
        {name: _to_review_file(file) for name, file in _decode(files)[0].items()},
        outputs,
        _to_pictures(made_before),
        ended_at,
        run_time,
        redo_prompt,
        redo_seed,
        None if redo_inputs is None else json.loads(redo_inputs),
        None if expand is None and aspect is None else _to_enlargement(expand, aspect, anchor),
        _to_shown_inputs(inputs),
    )


@from_ledger
def to_row_words(record: sqlite3.Row) -> RowWords:
    """Return what a row is searched by."""
    _, prompt, seed, inputs, extra = record
    return RowWords(prompt, seed, _to_shown_inputs(_decode(inputs)[0]), json.loads(extra))


def _to_shown_inputs(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the inputs that have no other place in the review; what is an address may hold a secret."""
    return {
        name: value
        for name, value in inputs.items()
        if name not in _SHOWN_APART and value is not None and not _is_address(value)
    }


def _is_address(value: Any) -> bool:
    return "://" in str(value)


def _to_shown_result(told: Sequence[Any], outputs: tuple[ReviewPicture, ...]) -> Result:
    *named, seed, prediction_id, attempts, cost, error, decision, chosen, changed, extra = told
    id_, line, state, image, mask, prompt = named
    return Result(
        id_,
        line,
        STATES[state],
        image,
        mask,
        prompt,
        tuple([output.file for output in outputs]),
        seed,
        prediction_id,
        attempts,
        cost,
        error,
        tuple(dict.fromkeys(flag for output in outputs for flag in output.flags)),
        to_decision(decision),
        chosen,
        tuple([output.finished_as for output in outputs if output.finished_as is not None]),
        {n: v for n, v in to_changed(changed).items() if not _is_address(v)},
        {} if extra == "{}" else json.loads(extra),
    )


def _to_enlargement(expand: Any, aspect: Any, anchor: Any) -> Enlargement | None:
    with suppress(ValueError):  # a model may have inputs of its own of these names
        written = read_expand(str(expand)) if expand else "", read_aspect(str(aspect)) if aspect else ""
        return Enlargement(*written, *([str(anchor)] if anchor else []))
    return None


def _to_pictures(text: str) -> tuple[ReviewPicture, ...]:
    if text == "[]":
        return ()
    return tuple(
        ReviewPicture(n, file, content, tuple(flags.split()) if flags else (), finished_as)
        for n, file, content, flags, finished_as in _decode(text)[0]
    )
