"""What the record of payments knows, and the ledger does not, is taken into the ledger; and the way back."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from batchfill import filenames
from batchfill.domain.rows import Outcome, RowState
from batchfill.ledger import payments, statements
from batchfill.ledger.payments import KeptFile, Known, Payment

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from batchfill.domain.predictions import Prediction
    from batchfill.ledger.payments import Judgement

SOURCE = "adoption"


@dataclass(frozen=True, slots=True)
class Found:
    """A payment of which it is known what became of it."""

    payment: Payment
    prediction: Prediction | None
    """As the service has it; None: every file is in its place."""


@dataclass(frozen=True, slots=True)
class Pictured:
    """A row that is about to be submitted and was never paid for, as far as the ledger knows."""

    key: str
    id: str
    price: int | None


def known_attempts(db: sqlite3.Connection, found: Sequence[Payment]) -> list[Known]:
    """Return what the ledger knows of the rows and attempts of *found*."""
    keys = json.dumps(list({payment.key for payment in found if payment.key}))
    numbers = json.dumps([payment.number for payment in found if not payment.key])
    return [_known(record) for record in _ask(db, "known", keys=keys, numbers=numbers)]


def incoming_among(db: sqlite3.Connection, keys: Collection[str]) -> set[str]:
    """Return those of *keys* that rows of the open import have."""
    return {record[0] for record in _ask(db, "incoming_keys", keys=json.dumps(list(keys)))}


def pictured(db: sqlite3.Connection, ids: Iterable[str], *, incoming: bool) -> list[Pictured]:
    """Return the rows with these ids that are pending and were never paid for."""
    folded = json.dumps([filenames.fold_case(id_) for id_ in ids])
    name = "pictured_incoming" if incoming else "pictured_rows"
    return [Pictured(*record) for record in _ask(db, name, folded_ids=folded)]


def has_pending(db: sqlite3.Connection, *, incoming: bool) -> bool:
    """Return whether any row would be submitted."""
    return bool(_ask(db, "pending_incoming" if incoming else "pending_rows")[0][0])


def known_files(db: sqlite3.Connection) -> set[str]:
    """Return where the ledger has a file, or is about to put one."""
    return {record[0] for record in _ask(db, "known_files")}


def adopt(
    db: sqlite3.Connection, found: Iterable[Found], *, origin: str, last: int, incoming: bool, now: float
) -> None:
    """Make each payment an attempt of its row: running at the service, or done where its files are there.

    *last*: the largest number in the record, which no other attempt may be given. *incoming*: an import of
    the manifest's rows is open.
    """
    for one in found:
        payment, prediction = one.payment, one.prediction
        row = {
            "key": payment.key,
            "row": payment.row,
            "folded_id": filenames.fold_case(payment.row),
            "now": now,
        }
        if incoming:
            _act(db, "take_incoming", key=payment.key, now=now)
        _act(db, "take_gone", **row)
        done = prediction is None
        _act(db, "take_attempt", **_attempt(payment, prediction, done=done, origin=origin, last=last))
        state = RowState.DONE if done else RowState.RUNNING
        _act(db, "take_row", key=payment.key, row=payment.row, state=state.value, now=now)
        if prediction is None:
            _place(db, payment.prediction_id, payment.kept, now)


def give_up(db: sqlite3.Connection, lost: Iterable[Payment], *, origin: str, last: int) -> None:
    """Keep in mind payments that are lost: their rows stay as they are, their prices reserved."""
    for payment in lost:
        _act(db, "take_attempt", **_attempt(payment, None, done=False, origin=origin, last=last))


def learn(db: sqlite3.Connection, attempt: Known, judgement: Judgement, now: float) -> None:
    """Take what *judgement* has of an attempt that the ledger knows."""
    id_ = judgement.ids.get(attempt.number)
    if id_ is not None:
        told = {"number": attempt.number, "key": attempt.key, "prediction_id": id_}
        event = "record_unconfirmed" if attempt.number in judgement.unconfirmed else "record_accepted"
        statements.run_statements(db, "events", event, **told, status=None, created_at=None, now=now)
    files, prediction_id = judgement.kept.get(attempt.number), id_ or attempt.prediction_id
    if files and prediction_id is not None:
        _act(db, "place_known", key=attempt.key, number=attempt.number, now=now)
        _place(db, prediction_id, files, now)


def record_lines(db: sqlite3.Connection, *, after: int = 0, without: Collection[int] = ()) -> Iterator[str]:
    """Yield the record's lines of every attempt with a number above *after*, but those *without*."""
    for record in db.execute(statements.load_statements(SOURCE)["payments"][0], {"after": after}):
        if record["number"] not in without:
            yield from _lines(record)


def payments_of(db: sqlite3.Connection) -> Iterator[Payment]:
    """Yield every attempt as a record would tell it."""
    for record in db.execute(statements.load_statements(SOURCE)["payments"][0], {"after": 0}):
        told = ("number", "key", "row", "at", "seed", "price", "prediction_id")
        kept = tuple(KeptFile(**file) for file in json.loads(record["files"]))
        yield Payment(
            **{name: record[name] for name in told},
            unconfirmed=bool(record["unconfirmed"]),
            area=_area(record),
            free=bool(record["free"]),
            kept=kept,
        )


def files_of(db: sqlite3.Connection, prediction_id: str | None) -> list[dict[str, Any]]:
    """Return the files of a prediction as the record tells them."""
    return [dict(record) for record in _ask(db, "kept_files", prediction_id=prediction_id)]


def _lines(record: sqlite3.Row) -> Iterator[str]:
    number = record["number"]
    told = {name: record[name] for name in ("key", "row", "at", "seed", "price")}
    yield payments.intent_line(number, **told, area=_area(record))
    if record["prediction_id"] is not None:
        unconfirmed = bool(record["unconfirmed"])
        yield payments.accepted_line(number, record["prediction_id"], unconfirmed=unconfirmed)
    if record["free"]:
        yield payments.free_line(number)
    if files := json.loads(record["files"]):
        yield payments.kept_line(number, files)


def _attempt(
    payment: Payment, prediction: Prediction | None, *, done: bool, origin: str, last: int
) -> dict[str, Any]:
    fields = {name: getattr(payment, name) for name in ("key", "seed", "price", "at", "prediction_id")}
    return fields | {
        "area": None if payment.area is None else json.dumps(payment.area),
        "outcome": (Outcome.SUCCEEDED if done else Outcome.OPEN).value,
        # One that is adopted was asked for, or its files are there.
        "unconfirmed": payment.unconfirmed and prediction is None and not done,
        "origin": origin,
        "last": last,
        "created_at": None if prediction is None else prediction.created_at,
        "status": None if prediction is None else prediction.status,
    }


def _place(db: sqlite3.Connection, prediction_id: str | None, files: Iterable[KeptFile], now: float) -> None:
    for file in files:
        _act(db, "place_output", prediction_id=prediction_id, now=now, **asdict(file))


def _known(record: sqlite3.Row) -> Known:
    fields = dict(record)
    return Known(**fields | {name: bool(fields[name]) for name in ("open", "counts")})


def _area(record: sqlite3.Row) -> Any:
    return None if record["area"] is None else tuple(json.loads(record["area"]))


def _ask(db: sqlite3.Connection, name: str, **values: Any) -> list[sqlite3.Row]:
    return db.execute(statements.load_statements(SOURCE)[name][0], values).fetchall()


def _act(db: sqlite3.Connection, name: str, **values: Any) -> None:
    statements.run_statements(db, SOURCE, name, **values)
