"""Values made from the ledger's records, in one place."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import fields, replace
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from batchfill import filenames
from batchfill.domain.objects import ObjectFile
from batchfill.domain.predictions import Output
from batchfill.domain.reports import (
    Cost,
    Doubt,
    EndedAttempt,
    Result,
)
from batchfill.domain.review import Decision, Redo
from batchfill.domain.rows import (
    Asked,
    Attempt,
    LocalFile,
    Mark,
    NamedFile,
    Outcome,
    PendingRow,
    Row,
    RowState,
    Stamp,
    StoredFile,
)
from batchfill.settings.resolve import NO_CAP

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from batchfill.domain.review import ReviewDecision
    from batchfill.domain.rows import RowFile

P = ParamSpec("P")
T = TypeVar("T")

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
STATES = {state.value: state for state in RowState}
"""A row's state by its word in the ledger, which is quicker than making it."""
_NO_CONTENTS = (None, None, None, None)

_UNFIT = (ValueError, TypeError, LookupError, AttributeError, RecursionError, OverflowError)
"""What making a value raises where the ledger holds something that batchfill never writes."""


def from_ledger(make: Callable[P, T]) -> Callable[P, T]:
    """Have *make* raise sqlite3.DatabaseError, as for any other damage, where a record does not fit it."""

    @wraps(make)
    def made(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return make(*args, **kwargs)
        except _UNFIT as error:
            raise sqlite3.DatabaseError(f"a value in it is none that batchfill writes: {error}") from error

    return made


def to_record(row: Row, *, whole: bool) -> tuple[Any, ...]:
    """Return *row* as the values of its incoming record; not *whole*: without what only a merge needs.

    Its key and id are those of a row that has no equal before it.
    """
    key = filenames.key_of(row.fingerprint, 1)
    id_ = row.id or filenames.made_id(row.stem, key)
    inputs = row.inputs
    return (
        row.position,
        row.line,
        id_,
        filenames.fold_case(id_),
        None if row.id else row.stem,
        key,
        row.fingerprint,
        str(inputs.get("image", "")),
        str(inputs.get("mask", "")),
        row.outputs_asked,
        row.price,
        *(_row_contents(row) if whole else _NO_CONTENTS),
    )


def _row_contents(row: Row) -> tuple[str, str, str, str]:
    files = {name: _from_file(file) for name, file in row.files.items()}
    return str(row.inputs.get("prompt", "")), to_json(row.inputs), to_json(files), to_json(row.extra)


def to_text(stamp: Stamp) -> str:
    """Return *stamp* as the ledger keeps it next to a digest."""
    return " ".join(map(str, stamp))


def _from_file(file: RowFile) -> list[Any] | dict[str, Any]:
    if isinstance(file, ObjectFile):
        return file._asdict()
    size, mtime_ns, *later = file.stamp
    return [str(file.path), size, mtime_ns, file.sha256, *later]


def _to_files(text: str) -> dict[str, RowFile]:
    return {name: _to_file(kept) for name, kept in json.loads(text).items()}


def _to_file(kept: list[Any] | dict[str, Any]) -> RowFile:
    if isinstance(kept, dict):
        return ObjectFile(**kept)
    # A row that was read before files had stamps ends with the digest: such a file is read again.
    path, size, mtime_ns, sha256, *later = kept
    return LocalFile(Path(path), Stamp(size, mtime_ns, *later), sha256)


def to_json(value: Mapping[str, Any]) -> str:
    """Return *value* as compact JSON that a person can read in the ledger."""
    return _encode(dict(value)) if value else "{}"


@from_ledger
def to_facts(found: Iterable[sqlite3.Row]) -> dict[str, str]:
    """Return what the batch remembers of itself."""
    facts = {name: value for name, value in found if value is not None}
    for name, value in facts.items():
        _FACTS.get(name, str.isascii)(value)  # whatever is no text raises TypeError
    return facts


def _refuse_no_cap(value: str) -> None:
    if value != NO_CAP:
        int(value)


_FACTS: Mapping[str, Callable[[str], object]] = {
    "started_at": float,
    "updated_at": float,
    "max_cost": _refuse_no_cap,
}
"""How facts that are not just text are read, which raises where they cannot be."""


@from_ledger
def to_state(word: str) -> RowState:
    """Return the state that *word* names."""
    return RowState(word)


@from_ledger
def to_asked(record: sqlite3.Row) -> Asked:
    """Return what a row asks for."""
    return Asked(json.loads(record["inputs"]), _to_files(record["files"]))


@from_ledger
def to_due(record: sqlite3.Row) -> PendingRow:
    """Return a row whose turn it is."""
    asked = to_asked(record)
    return PendingRow(
        key=record["key"],
        id=record["id"],
        line=record["line"],
        inputs=asked.inputs,
        files=asked.files,
        outputs_asked=record["outputs_asked"],
        price=record["price"],
        tries=record["tries"],
        redo=_to_redo(record["new_prompt"], record["new_seed"], record["new_inputs"])
        if record["anew"]
        else None,
    )


def _to_redo(prompt: str | None, seed: int | None, inputs: str | None) -> Redo:
    return Redo(prompt, seed, {} if inputs is None else json.loads(inputs))


def from_decision(ruling: ReviewDecision) -> dict[str, Any]:
    """Return *ruling* as the values of its event."""
    inputs = None if ruling.inputs is None else to_json(ruling.inputs)
    return ruling.as_record() | {"inputs": inputs}


@from_ledger
def to_named_files(record: sqlite3.Row) -> list[NamedFile | ObjectFile]:
    """Return the files that a row names and that are read here."""
    inputs = json.loads(record["inputs"])
    return [_to_named(inputs[name], kept) for name, kept in json.loads(record["files"]).items()]


def _to_named(address: str, kept: list[Any] | dict[str, Any]) -> NamedFile | ObjectFile:
    if isinstance(kept, dict):
        return ObjectFile(**kept)
    path, size, mtime_ns, _, *later = kept
    return NamedFile(address, path, Stamp(size, mtime_ns, *later))


@from_ledger
def to_attempt(record: sqlite3.Row) -> Attempt:
    """Return an attempt with its row's id, line, state and tries."""
    fields = dict(record)
    fields["state"] = RowState(fields["state"])
    fields["own_seed"] = bool(fields["own_seed"])
    fields["acknowledged"] = bool(fields["acknowledged"])
    fields["sent"] = json.loads(fields["sent"])
    fields["area"] = tuple(json.loads(fields["area"])) if fields["area"] else None
    return Attempt(**fields)


@from_ledger
def to_output(record: sqlite3.Row) -> Output:
    """Return one file of a prediction."""
    fields = dict(record)
    flags = fields["flags"]
    return Output(**fields | {"flags": None if flags is None else tuple(flags.split())})


def to_placed(output: Output) -> dict[str, Any]:
    """Return *output* as the values of its record, its size in pixels left out."""
    fields = {name: getattr(output, name) for name in _PLACED}
    return fields | {"flags": None if output.flags is None else " ".join(output.flags)}


_PLACED = (
    "prediction_id",
    "n",
    "file",
    "size",
    "sha256",
    "raw",
    "raw_sha256",
    "finished_with",
    "finished_as",
)


@from_ledger
def to_doubt(record: sqlite3.Row) -> Doubt:
    """Return a row that may have been paid for."""
    fields = dict(record)
    return Doubt(**fields | {"keyed": bool(fields["keyed"])})


_RESULT = [field.name for field in fields(Result)]


@from_ledger
def to_result(record: sqlite3.Row) -> Result:
    """Return one line of `results`."""
    told = dict(zip(_RESULT, record, strict=True))
    told["state"] = STATES[told["state"]]
    told["outputs"] = _split_files(told["outputs"])
    told["flags"] = _split_flags(told["flags"])
    told["finished_as"] = _split_files(told["finished_as"])
    told["decision"] = to_decision(told["decision"])
    told["changed_inputs"] = to_changed(told["changed_inputs"])
    told["extra"] = {} if told["extra"] == "{}" else json.loads(told["extra"])
    return Result(**told)


def _split_files(joined: str | None) -> tuple[str, ...]:
    return tuple(joined.split(";")) if joined else ()


def _split_flags(joined: str | None) -> tuple[str, ...]:
    return tuple(dict.fromkeys(joined.split())) if joined else ()


def to_decision(word: str | None) -> Decision | None:
    """Return the decision that *word* names."""
    return None if word is None else Decision(word)


def to_changed(text: str | None) -> Mapping[str, Any]:
    """Return the inputs that a redo changed."""
    return {} if text is None else json.loads(text)


@from_ledger
def to_ended(record: sqlite3.Row) -> EndedAttempt:
    """Return an attempt that came to an end."""
    begun_at, at, outcome, price, run_time = record
    return EndedAttempt(begun_at, at, Outcome(outcome), price, run_time)


@from_ledger
def to_counts(tally: Iterable[sqlite3.Row], *, gone: bool) -> dict[RowState, int]:
    """Return rows by state: of the manifest every state, of those gone from it only states that have any."""
    found = {RowState(r["state"]): r["rows"] for r in tally if bool(r["gone"]) == gone}
    return found if gone else {state: found.get(state, 0) for state in RowState}


@from_ledger
def to_cap(fact: str | None) -> int | None:
    """Return the --max-cost that is remembered, in millionths; None for none."""
    return int(fact) if fact is not None and fact.isdigit() else None


@from_ledger
def to_placed_file(record: sqlite3.Row) -> StoredFile:
    """Return one file of a finished row."""
    known, (mark, named) = tuple(record)[:-2], tuple(record)[-2:]
    return replace(StoredFile(*known), mark=None if mark is None else Mark(mark), names_model=bool(named))


@from_ledger
def to_cost(
    tally: Iterable[sqlite3.Row], money: Iterable[sqlite3.Row], cap: int | None, currency: str
) -> Cost:
    """Return the batch's money: succeeded and canceled are spent, open is reserved, pending is to go.

    What is spent is not known where a prediction without a price was accepted, or may have been: nothing says
    that a failed one was free.
    """
    made = to_made(money)
    spent = _sum_or_none(r for r in made if r["outcome"] in (Outcome.SUCCEEDED, Outcome.CANCELED))
    spent = None if any(r["unpriced"] for r in made) else spent
    reserved = _sum_or_none(r for r in made if r["outcome"] == Outcome.OPEN)
    to_go = _sum_or_none(r for r in tally if r["state"] == RowState.PENDING and not r["gone"])
    return Cost(spent, reserved, to_go, cap, currency)


def to_made(money: Iterable[sqlite3.Row]) -> list[sqlite3.Row]:
    """Return the records of outcomes whose attempts may have made something."""
    return [record for record in money if record["outcome"] != Outcome.NOTHING_MADE]


def to_committed(money: Iterable[sqlite3.Row]) -> int | None:
    """Return what is spent or reserved; None where a price of it is not known."""
    counting = (Outcome.SUCCEEDED, Outcome.CANCELED, Outcome.OPEN)
    return _sum_or_none(record for record in money if record["outcome"] in counting)


def to_pending_price(tally: Iterable[sqlite3.Row]) -> int | None:
    """Return what one attempt of each pending row costs; None where a price of it is not known."""
    return _sum_or_none(r for r in tally if r["state"] == RowState.PENDING and not r["gone"])


def _sum_or_none(records: Iterable[sqlite3.Row]) -> int | None:
    total = 0
    for record in records:
        if record["unpriced"]:
            return None
        total += record["price"]
    return total
