"""Pictures in a batch folder that no ledger and no record knows: their rows were paid for."""

from __future__ import annotations

import os
import re
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from anyio import to_thread

from batchfill.storage.output_store import EARLIER, OUTPUTS, RAW, safe_name

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from batchfill.ledger.adoption import Pictured
    from batchfill.ledger.ledger import Ledger
    from batchfill.ledger.payments import Payment


async def find_pictured(
    ledger: Ledger, folder: Path, known: Collection[str], *, incoming: bool
) -> list[Pictured]:
    """Return the rows that are about to be submitted though `outputs/` has a picture with their id.

    *known*: files in the batch folder *folder* that need no explanation.
    """
    ids = await to_thread.run_sync(lambda: [_id_of(file) for file in _strays(folder, known)])
    return await ledger.pictured(ids, incoming=incoming) if ids else []


async def find_raw_ids(folder: Path, payments: Sequence[Payment]) -> list[str]:
    """Return the predictions, none of *payments*, whose pictures are kept as the service sent them."""
    known = {safe_name(payment.prediction_id) for payment in payments if payment.prediction_id is not None}
    ids = await to_thread.run_sync(lambda: {_id_in_raw(path.stem) for path in (folder / RAW).glob("*-*.*")})
    return sorted(ids - known)


def recorded_files(payments: Sequence[Payment]) -> set[str]:
    """Return the files that a record knows, relative to the batch folder."""
    return {file.file for payment in payments for file in payment.kept}


def _strays(folder: Path, known: Collection[str]) -> Iterator[str]:
    """Yield the files in `outputs/` that bear a row's id and are not *known*."""
    for path, folders, names in os.walk(folder / OUTPUTS):
        within = Path(path).relative_to(folder).as_posix()
        folders[:] = [name for name in folders if f"{within}/{name}" not in (EARLIER, RAW)]
        for name in names:
            if (file := f"{within}/{name}") not in known and (folder / file).is_file():
                yield file


def _id_of(file: str) -> str:
    return re.sub(r"@\d+$", "", PurePosixPath(file).stem)


def _id_in_raw(stem: str) -> str:
    return stem.rpartition("-")[0]
