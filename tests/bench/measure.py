"""One process from its start to its end, and what it used: the system's own count."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROOT = Path(__file__).parents[2]
TOKEN = "bench"
LONGEST = 3600.0
"""Seconds after which a process is taken to hang."""

ENVIRON = {
    **{name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ},
    "PYTHONPATH": str(ROOT),
    "PYTHONUTF8": "1",
    "BATCHFILL_TOKEN": TOKEN,
    "REPLICATE_API_TOKEN": TOKEN,
}
"""Of every process: nothing that a proxy or another batch has set."""


class Failed(Exception):
    """A process ended as it should not: nothing was measured."""


@dataclass(frozen=True, slots=True)
class Used:
    """What a process used, the children that it waited for included."""

    began_at: float
    """In seconds since the epoch."""
    ended_at: float
    cpu: float
    """Seconds, of the system and its own, in all threads."""
    peak_mb: float
    said: str
    """On standard output."""


def measured(
    *arguments: str, folder: Path, good: tuple[int, ...] = (0,), environ: Mapping[str, str] = ENVIRON
) -> Used:
    """Run `python -m` with *arguments* in *folder*. Raises Failed unless its exit code is a *good* one.

    A process never counts for less memory than the one that starts it, so that this one has to stay small.
    """
    command = [sys.executable, "-m", *arguments]
    with tempfile.TemporaryFile("w+", encoding="utf-8") as said, tempfile.TemporaryFile("w+") as trouble:
        began_at = time.time()
        process = subprocess.Popen(
            command, cwd=folder, env=environ, stdin=subprocess.DEVNULL, stdout=said, stderr=trouble
        )
        with _bounded(process):
            _, status, usage = os.wait4(process.pid, 0)
            ended_at = time.time()
            process.returncode = os.waitstatus_to_exitcode(status)
        said.seek(0)
        trouble.seek(0)
        if process.returncode not in good:
            raise Failed(f"{' '.join(arguments)} ended with {process.returncode}: {trouble.read()[-2000:]}")
        cpu = usage.ru_utime + usage.ru_stime
        return Used(began_at, ended_at, cpu, usage.ru_maxrss / 1024, said.read())


@contextmanager
def _bounded(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """Let *process* run meanwhile, not for ever, and not any longer."""
    alarm = threading.Timer(LONGEST, process.kill)
    alarm.start()
    try:
        yield
    finally:
        alarm.cancel()
        if process.returncode is None:
            process.kill()
            process.wait()
