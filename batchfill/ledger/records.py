"""Values made from the ledger's records, in one place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from batchfill import names
from batchfill.values import (
    Asked,
    Attempt,
    Cost,
    Decision,
    Doubt,
    Due,
    Ended,
    Exhibit,
    LocalFile,
    NamedFile,
    Outcome,
    Output,
    Redo,
    Result,
    Row,
    RowState,
    Stamp,
)

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator, Mapping

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_STATES = {state.value: state for state in RowState}
_NO_CONTENTS = (None, None, None, None)


def to_record(row: Row, *, whole: bool) -> tuple[Any, ...]:
    """Return *row* as the values of its incoming record; not *whole*: without what only a merge needs.

    Its key and id are those of a row that has no equal before it.
    """
    key = names.key_of(row.fingerprint, 1)
    id_ = row.id or names.made_id(row.stem, key)
    inputs = row.inputs
    return (
        row.position,
        row.line,
        id_,
        names.fold(id_),
        None if row.id else row.stem,
        key,
        row.fingerprint,
        str(inputs.get("image", "")),
        str(inputs.get("mask", "")),
        row.outputs_asked,
        row.price,
        *(_contents(row) if whole else _NO_CONTENTS),
    )


def _contents(row: Row) -> tuple[str, str, str, str]:
    files = {name: _from_file(file) for name, file in row.files.items()}
    return str(row.inputs.get("prompt", "")), to_json(row.inputs), to_json(files), to_json(row.extra)


def to_text(stamp: Stamp) -> str:
    """Return *stamp* as the ledger keeps it beside a digest."""
    return " ".join(map(str, stamp))


def _from_file(file: LocalFile) -> list[Any]:
    size, mtime_ns, *later = file.stamp
    return [str(file.path), size, mtime_ns, file.sha256, *later]


def _to_files(text: str) -> dict[str, LocalFile]:
    # A row that was read before files had stamps ends with the digest: such a file is read again.
    return {
        name: LocalFile(Path(path), Stamp(size, mtime_ns, *later), sha256)
        for name, (path, size, mtime_ns, sha256, *later) in json.loads(text).items()
    }


def to_json(value: Mapping[str, Any]) -> str:
    """Return *value* as compact JSON that a person can read in the ledger."""
    return _encode(dict(value)) if value else "{}"


def to_asked(record: sqlite3.Row) -> Asked:
    """Return what a row asks for."""
    return Asked(json.loads(record["inputs"]), _to_files(record["files"]))


def to_due(record: sqlite3.Row) -> Due:
    """Return a row whose turn it is."""
    asked = to_asked(record)
    return Due(
        key=record["key"],
        id=record["id"],
        line=record["line"],
        inputs=asked.inputs,
        files=asked.files,
        outputs_asked=record["outputs_asked"],
        price=record["price"],
        tries=record["tries"],
        redo=Redo(record["new_prompt"], record["new_seed"]) if record["anew"] else None,
    )


def to_named_files(record: sqlite3.Row) -> Iterator[NamedFile]:
    """Yield the local files that a row names."""
    inputs = json.loads(record["inputs"])
    for name, (path, size, mtime_ns, _, *later) in json.loads(record["files"]).items():
        yield NamedFile(inputs[name], path, Stamp(size, mtime_ns, *later))


def to_attempt(record: sqlite3.Row) -> Attempt:
    """Return an attempt with its row's id, line, state and tries."""
    fields = dict(record)
    fields["state"] = RowState(fields["state"])
    fields["own_seed"] = bool(fields["own_seed"])
    fields["sent"] = json.loads(fields["sent"])
    fields["area"] = tuple(json.loads(fields["area"])) if fields["area"] else None
    return Attempt(**fields)


def to_output(record: Mapping[str, Any] | sqlite3.Row) -> Output:
    """Return one file of a prediction."""
    fields = dict(record)
    flags = fields["flags"]
    return Output(**fields | {"flags": None if flags is None else tuple(flags.split())})


def to_placed(output: Output) -> dict[str, Any]:
    """Return *output* as the values of its record, its size in pixels left out."""
    fields = {name: getattr(output, name) for name in _PLACED}
    return fields | {"flags": None if output.flags is None else " ".join(output.flags)}


_PLACED = ("prediction_id", "n", "file", "size", "sha256", "raw", "raw_sha256", "finished_with")


def to_doubt(record: sqlite3.Row) -> Doubt:
    """Return a row that may have been paid for."""
    return Doubt(**dict(record))


def to_result(record: sqlite3.Row) -> Result:
    """Return one line of `results`."""
    (
        id_,
        line,
        state,
        image,
        mask,
        prompt,
        outputs,
        seed,
        prediction_id,
        attempts,
        cost,
        error,
        flags,
        decision,
        chosen,
        extra,
    ) = record
    return Result(
        id_,
        line,
        _STATES[state],
        image,
        mask,
        prompt,
        _files(outputs),
        seed,
        prediction_id,
        attempts,
        cost,
        error,
        _flags(flags),
        _decision(decision),
        chosen,
        {} if extra == "{}" else json.loads(extra),
    )


def _files(joined: str | None) -> tuple[str, ...]:
    return tuple(joined.split(";")) if joined else ()


def _flags(joined: str | None) -> tuple[str, ...]:
    return tuple(dict.fromkeys(joined.split())) if joined else ()


def _decision(word: str | None) -> Decision | None:
    return None if word is None else Decision(word)


def to_exhibit(result: Result, record: sqlite3.Row) -> Exhibit:
    """Return a row with its pictures, which *record* tells of."""
    return Exhibit(
        result,
        _to_files(record["files"]),
        _to_pictures(record["outputs"]),
        _to_pictures(record["earlier"]),
        record["ended_at"],
        record["run_time"],
        record["redo_prompt"],
        record["redo_seed"],
    )


def _to_pictures(text: str) -> tuple[Output, ...]:
    return tuple(to_output(fields) for fields in json.loads(text)) if text != "[]" else ()


def to_ended(record: sqlite3.Row) -> Ended:
    """Return an attempt that came to an end."""
    begun_at, at, outcome, price, run_time = record
    return Ended(begun_at, at, Outcome(outcome), price, run_time)


def to_counts(tally: Iterable[sqlite3.Row], *, gone: bool) -> dict[RowState, int]:
    """Return rows by state: of the manifest every state, of those gone from it only states that have any."""
    found = {RowState(r["state"]): r["rows"] for r in tally if bool(r["gone"]) == gone}
    return found if gone else {state: found.get(state, 0) for state in RowState}


def to_cap(fact: str | None) -> int | None:
    """Return the --max-cost that is remembered, in millionths; None for none."""
    return int(fact) if fact is not None and fact.isdigit() else None


def to_cost(
    tally: Iterable[sqlite3.Row], money: Iterable[sqlite3.Row], cap: int | None, currency: str
) -> Cost:
    """Return the batch's money: succeeded and canceled are spent, open is reserved, pending is to go."""
    spent = _sum(r for r in money if r["outcome"] in (Outcome.SUCCEEDED, Outcome.CANCELED))
    reserved = _sum(r for r in money if r["outcome"] == Outcome.OPEN)
    to_go = _sum(r for r in tally if r["state"] == RowState.PENDING and not r["gone"])
    return Cost(spent, reserved, to_go, cap, currency)


def _sum(records: Iterable[sqlite3.Row]) -> int | None:
    total = 0
    for record in records:
        if record["unpriced"]:
            return None
        total += record["price"]
    return total
