"""The ledger of a batch that has begun, or what to do where there is none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from batchfill.errors import LedgerError
from batchfill.ledger.database import is_there
from batchfill.ledger.location import LEDGER
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


def no_ledger(manifest: Path, flags: Mapping[str, Any], meaning: str) -> LedgerError:
    """Return the error of a batch without a ledger: what that means, or the batch that may have been meant.

    Raises UsageError when there is no manifest either: its name is wrong.
    """
    text = f"{folder_of(manifest, flags)}: no ledger here yet"
    if flags.get("out"):
        return LedgerError(text + meaning)
    rehearsal = bool(flags.get("local"))
    if is_there(folder_of(manifest, {"local": not rehearsal}) / LEDGER):
        other = (
            "the batch itself is there: leave --local out"
            if rehearsal
            else "a rehearsal is there: add --local"
        )
        return LedgerError(f"{text}; {other}")
    from batchfill.manifest.manifest import open_manifest

    open_manifest(manifest)
    return LedgerError(text + meaning)
