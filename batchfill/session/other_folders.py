"""What another batch folder tells of payments, where that may be this batch's under another name."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from batchfill.errors import LedgerError, UsageError, first_few
from batchfill.ledger.database import is_there
from batchfill.ledger.location import LEDGER
from batchfill.ledger.payment_record import PAID, read_record
from batchfill.ledger.reader import open_reader

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from batchfill.ledger.payments import Payment, PaymentReading


@dataclass(frozen=True, slots=True)
class FolderPast:
    """What ledger and record of a batch folder know together."""

    payments: list[Payment]
    """In the order in which they were intended."""
    files: set[str]
    """Relative to the folder."""


def read_folder(folder: Path) -> FolderPast:
    """Read what the ledger and the record in *folder* know. Raises UsageError where either is damaged."""
    try:
        record, (attempts, files) = read_record(folder / PAID), _read_ledger(folder / LEDGER)
        payments = () if record is None else record.payments
        if record is not None and (lines := _doubtful(record, attempts)):
            raise LedgerError(f"{folder / PAID}: line {first_few(lines)} cannot be read")  # noqa: TRY301
    except LedgerError as error:
        raise UsageError(
            f"{error}. {folder.name} may hold what was paid for rows of this manifest: if it was renamed, go "
            f"on with --out {folder}; if it is another batch's, move it away"
        ) from error
    files.update(file.file for payment in payments for file in payment.kept)
    return FolderPast(_merge([*payments, *attempts]), files)


def _read_ledger(ledger: Path) -> tuple[list[Payment], set[str]]:
    if not is_there(ledger):
        return [], set()
    with open_reader(ledger) as reader:
        return list(reader.payments()), reader.known_files()


def _doubtful(record: PaymentReading, attempts: Iterable[Payment]) -> list[int]:
    """Return the damaged lines of *record* that the ledger's *attempts* may not know; see payments.judge."""
    known = {(attempt.number, attempt.key, attempt.at) for attempt in attempts}
    own = (one.line for one in record.payments if (one.number, one.key, one.at) in known)
    known_to = max(own, default=0)
    return [line for line in record.damaged if line > known_to]


def _merge(payments: Iterable[Payment]) -> list[Payment]:
    """Return each attempt once, with all that is told of it."""
    found: dict[tuple[str, float], Payment] = {}
    for payment in payments:
        before = found.setdefault((payment.key, payment.at), payment)
        found[payment.key, payment.at] = replace(
            before,
            row=before.row or payment.row,
            prediction_id=before.prediction_id or payment.prediction_id,
            free=before.free or payment.free,
        )
    return sorted(found.values(), key=lambda payment: payment.at)
