"""The folder and the ledger of a batch that has begun, or what to do where there is none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from batchfill.errors import LedgerError, UsageError
from batchfill.ledger.database import is_there
from batchfill.ledger.location import LEDGER
from batchfill.ledger.payment_record import PAID, read_heading
from batchfill.ledger.reader import open_reader
from batchfill.settings.resolve import folder_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path
    from typing import Any

    from batchfill.ledger.reader import Reader


def open_batch_ledger(manifest: Path, flags: Mapping[str, Any]) -> AbstractContextManager[Reader]:
    """Open the ledger of *manifest*'s batch to read it.

    Raises LedgerError when there is none or it is damaged, UsageError when there is no manifest either.
    """
    ledger = folder_of(manifest, flags) / LEDGER
    if not is_there(ledger):
        raise no_ledger(manifest, flags, "; run the batch first")
    return open_reader(ledger)


def make_folder(folder: Path) -> None:
    """Make the batch folder where it is not there. Raises UsageError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"{folder} cannot be made: {error.strerror}; give a folder that can be written with --out"
        ) from error


def no_ledger(manifest: Path, flags: Mapping[str, Any], meaning: str) -> LedgerError:
    """Return the error of a batch without a ledger: what that means, or the batch that may have been meant.

    Raises UsageError when there is no manifest either: its name is wrong.
    """
    text = f"{folder_of(manifest, flags)}: no ledger here yet"
    if flags.get("out"):
        return LedgerError(text + meaning)
    if (other := _other_batch(manifest, flags)) is not None:
        return LedgerError(f"{text}; {other}")
    from batchfill.manifest.manifest import open_manifest

    open_manifest(manifest)
    return LedgerError(text + meaning)


def refuse_other_name(manifest: Path, flags: Mapping[str, Any]) -> None:
    """Raise LedgerError or UsageError where a batch that has not begun is not the one that was meant."""
    folder = folder_of(manifest, flags)
    if flags.get("out") or is_there(folder / LEDGER):
        return
    if _other_batch(manifest, flags) is not None or not manifest.exists():
        raise no_ledger(manifest, flags, "")


def _other_batch(manifest: Path, flags: Mapping[str, Any]) -> str | None:
    """Return what to do where the manifest's rehearsal has begun and the batch has not, or the other way."""
    rehearsal = bool(flags.get("local"))
    if not is_there(folder_of(manifest, {"local": not rehearsal}) / LEDGER):
        return None
    return (
        "the batch itself is there: leave --local out" if rehearsal else "a rehearsal is there: add --local"
    )


def read_metadata(folder: Path) -> dict[str, str]:
    """Return what the ledger of a batch folder remembers of its batch; without one, what the record says."""
    ledger = folder / LEDGER
    if not is_there(ledger):
        heading = read_heading(folder / PAID)
        return {} if heading is None else {"model": heading.model}
    with open_reader(ledger) as reader:
        return reader.metadata()
