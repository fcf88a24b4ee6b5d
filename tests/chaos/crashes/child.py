"""One run of a batch in a process of its own, which may die at an edge or lose its power there."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import batchfill.batch
from batchfill.clock import SystemClock
from batchfill.providers import rate_limiter
from batchfill.providers.wire.certificates import trusted_certificates
from batchfill.session import session
from batchfill.settings import timings
from batchfill.workers.pool import Threads
from tests.chaos.crashes.disk import Disk, Lost
from tests.chaos.crashes.effects import Edge, Effects
from tests.chaos.crashes.forks import serve
from tests.support.forks import import_all
from tests.support.made_before import hash_before, hash_once
from tests.support.providers import TOKEN
from tests.support.timings import QUICK

if TYPE_CHECKING:
    from collections.abc import Mapping

COMMAND: Mapping[str, Any] = {"rate": 60_000, "concurrency": 4}


def run(
    *,
    manifest: str,
    base: str,
    ahead: float,
    edge: list[Any] | None = None,
    lost: str | None = None,
    flags: Mapping[str, Any] | None = None,
    trace: str | None = None,
) -> int:
    """Run the batch of *manifest* at the provider of *base*; return how it would end the command.

    *ahead*: seconds that the clock has moved on since the first run. *edge*: where the process dies; with
    *lost* the power fails there too, and what is left of the batch folder is put into `left/` beside it.
    *trace*: a file for the steps of a run that does not die.
    """
    _speak_to(Path(manifest).with_name("said.txt"))
    batch = batchfill.batch.Batch.open(
        manifest, environ={"BATCHFILL_TOKEN": TOKEN}, base_url=base, **COMMAND, **(flags or {})
    )
    SystemClock.now = lambda self: time.time() + ahead  # type: ignore[method-assign]
    effects = Effects(None if edge is None else Edge(*edge))
    effects.watch()
    _watch_disk(batch.folder, effects, lost)
    summary = asyncio.run(batch.run())
    if trace is not None:
        Path(trace).write_text(json.dumps(effects.steps), "utf-8")
    return summary.exit_code


def _watch_disk(folder: Path, effects: Effects, lost: str | None) -> None:
    disk = Disk.known(folder)
    if lost is None:
        effects.last_will = disk.keep
    else:
        effects.last_will = lambda: disk.leave(folder.with_name("left"), Lost(lost))
    disk.watch(effects)


def _speak_to(file: Path) -> None:
    said = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for descriptor in (1, 2):
        os.dup2(said, descriptor)


class _Here(Threads):
    """Who does heavy work in this process: what another one writes, the disk here would not know of."""

    def __init__(self, most: object = None, *, hidden: object) -> None:
        super().__init__()

    def close(self) -> None:
        """There is nothing to end."""


def _hurry() -> None:
    """Import all that a run will, and cut the waits short that only a service far away needs."""
    import_all()
    hash_once()
    hash_before(TOKEN)
    setattr(session, "Processes", _Here)  # noqa: B010  (types would not have it)
    timings.DEFAULT = QUICK
    # Each night is throttled once.
    rate_limiter.SPARE = 0.05
    # To read whom TLS may trust takes longer than a run, and there is none here.
    trusted_certificates()


if __name__ == "__main__":
    _hurry()
    gc.freeze()
    serve(run)
