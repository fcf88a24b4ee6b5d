"""What programs call that are not asynchronous."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import anyio

from batchfill.batch import Batch
from batchfill.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from batchfill.domain.reports import Summary


def fill(manifest: str | Path, **flags: Any) -> Summary:
    """Run *manifest* and return how that ended; *flags* as in `Batch.open`.

    Raises what `Batch.run` raises; UsageError where an event loop runs already.
    """
    batch = Batch.open(manifest, **flags)
    if _loop_runs():
        raise UsageError(
            "fill() cannot wait where an event loop runs already, as in a notebook: "
            f"await Batch.open({str(manifest)!r}, …).run() instead"
        )
    return anyio.run(batch.run)


def _loop_runs() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
