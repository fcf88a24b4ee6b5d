"""The emulator's memory: one record a prediction, its journal on disk, and the bill."""

from __future__ import annotations

import json
import secrets
from collections import defaultdict
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path
    from typing import Any


TERMINAL = frozenset({"succeeded", "failed", "canceled", "aborted"})
FREE = frozenset({"failed", "aborted"})
"""Ends that cost nothing."""

_LETTERS = "0123456789abcdefghjkmnpqrstvwxyz"


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictionRecord:
    """One prediction. Times are seconds since the epoch by the provider's own clock."""

    id: str
    model: str
    input: dict[str, Any]
    """As given, without the data URLs."""
    contents: dict[str, str]
    """SHA-256 of what the data URLs held, by input name."""
    digest: str
    """SHA-256 of the input without its seed, of what files hold rather than where they lie."""
    created_at: float
    deployment: str | None = None
    cancel_at: float | None = None
    fate: str | None = None
    """The fault that will become of it."""
    fate_option: str | int | None = None
    """The text of its error, or how many outputs are left out."""
    seed: int | None = None
    """As given; kept when the input is gone."""
    status: str = "starting"
    started_at: float | None = None
    completed_at: float | None = None
    logs: str = ""
    error: str | None = None
    outputs: list[str] = field(default_factory=list)
    """File names, in order."""
    made: int = 0
    """How many outputs there were, gone or not."""
    sender: str = ""
    """Who asked for it, among those who share a pool; equal for the rows of one run."""
    key: str | None = None
    """The create's `Idempotency-Key`, where keys are honoured."""
    request: str = ""
    """SHA-256 of what was asked for with that key."""
    removed: bool = False
    """Inputs, outputs and logs are gone."""

    @property
    def ended(self) -> bool:
        """Whether the status is terminal."""
        return self.status in TERMINAL


@dataclass(frozen=True, slots=True)
class Charge:
    """One line of the bill: a prediction that was made, however it ended."""

    prediction_id: str
    model: str
    digest: str
    """Equal for predictions that ask for the same, whatever their seeds."""
    seed: int | None
    status: str
    outputs: int
    """How many were made, whether or not they are still there."""
    started: bool = False

    @property
    def paid(self) -> bool:
        """Whether it costs: not when it failed, was aborted, or was canceled before it started.

        What still runs counts, for it will cost unless it fails.
        """
        return self.status not in FREE and (self.status != "canceled" or self.started)


def charge_for(record: PredictionRecord) -> Charge:
    """Return the line of the bill for *record*."""
    return Charge(
        prediction_id=record.id,
        model=record.model,
        digest=record.digest,
        seed=record.seed,
        status=record.status,
        outputs=record.made,
        started=record.started_at is not None,
    )


def new_id() -> str:
    """Return an id as the service makes them: 26 characters that cannot be guessed."""
    return "".join(secrets.choice(_LETTERS) for _ in range(26))


@dataclass(frozen=True, slots=True)
class Bill:
    """Charges in the order in which they arose.

    A row is known by the digest of what it asks for, without its seed: rows that ask for the same are one
    here, so a batch that is judged by its bill gives each of its rows a prompt of its own.
    """

    charges: tuple[Charge, ...]

    @property
    def billed(self) -> int:
        """How many predictions were made, however they ended."""
        return len(self.charges)

    @property
    def paid(self) -> tuple[Charge, ...]:
        """Those that cost; see Charge.paid."""
        return tuple(charge for charge in self.charges if charge.paid)

    def by_row(self) -> Mapping[str, tuple[Charge, ...]]:
        """Return the attempts of each row, by digest."""
        return _by_digest(self.charges)

    def paid_twice(self) -> Mapping[str, tuple[Charge, ...]]:
        """Return what costs more than once, by digest, a run that was canceled and tried again among it."""
        return _more_than_once(self.paid)

    def made_twice(self) -> Mapping[str, tuple[Charge, ...]]:
        """Return what was made or is being made more than once, by digest: no retry accounts for it."""
        return _more_than_once(charge for charge in self.paid if charge.status != "canceled")

    def __str__(self) -> str:
        """Return the bill in one line."""
        rows, paid, twice, made = map(len, (self.by_row(), self.paid, self.paid_twice(), self.made_twice()))
        return (
            f"the bill: rows {rows}, attempts {self.billed}, paid {paid}, "
            f"paid twice {twice} ({twice - made} after a cancel)"
        )


def _more_than_once(charges: Iterable[Charge]) -> dict[str, tuple[Charge, ...]]:
    return {row: attempts for row, attempts in _by_digest(charges).items() if len(attempts) > 1}


def _by_digest(charges: Iterable[Charge]) -> dict[str, tuple[Charge, ...]]:
    rows = defaultdict(list)
    for charge in charges:
        rows[charge.digest].append(charge)
    return {row: tuple(attempts) for row, attempts in rows.items()}


NAME = "predictions.jsonl"


class Journal:
    """The journal of one folder, open for appending."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / NAME
        self._drop_torn_line()
        self._file = self._path.open("a", encoding="utf-8")

    def add(self, record: PredictionRecord) -> None:
        """Remember a new prediction; on return a kill of this process cannot lose it."""
        self._write_line(asdict(record))

    def change(self, record: PredictionRecord, **changes: Any) -> PredictionRecord:
        """Remember what has changed and return the changed record."""
        self._write_line({"id": record.id, **changes})
        return replace(record, **changes)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _write_line(self, line: dict[str, Any]) -> None:
        self._file.write(json.dumps(line) + "\n")
        self._file.flush()

    def _drop_torn_line(self) -> None:
        """Cut off what a kill left unfinished: no client was told of it, and the next line would join it."""
        if not self._path.exists():
            return
        with self._path.open("r+b") as file:
            content = file.read()
            file.truncate(content.rfind(b"\n") + 1)


def read_records(folder: Path) -> list[PredictionRecord]:
    """Return the predictions of a provider's folder in the order in which they were made."""
    records: dict[str, PredictionRecord] = {}
    path = folder / NAME
    if not path.exists():
        return []
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            if not line.endswith("\n"):
                break
            facts = json.loads(line)
            known = records.get(facts["id"])
            records[facts["id"]] = replace(known, **facts) if known else PredictionRecord(**facts)
    return list(records.values())


def read_bill(folder: Path) -> list[Charge]:
    """Return what a provider's folder says was made, whether or not a provider runs on it now."""
    return [charge_for(record) for record in read_records(folder)]
