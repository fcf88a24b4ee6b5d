"""What a process may be started with: streams that are closed, full or gone, and few files to open."""

from __future__ import annotations

import random
import subprocess
import sys
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from tests.chaos.soak.flips import write_manifest
from tests.chaos.soak.processes import ROOT
from tests.chaos.soak.table import Line

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

LONG = 300.0
"""Seconds after which a command is taken to hang."""

PRINTED = {
    "help": ["--help"],
    "version": ["--version"],
    "help of run": ["run", "--help"],
    "init": ["init", "{own}.csv"],
    "pair": ["pair", "images", "masks"],
    "check": ["check", "night.csv"],
    "check --json": ["check", "night.csv", "--json"],
    "status": ["status", "night.csv", "--local"],
    "status --json": ["status", "night.csv", "--local", "--json"],
    "status --watch": ["status", "night.csv", "--local", "--watch"],
    "results": ["results", "night.csv", "--local"],
    "results --format": ["results", "night.csv", "--local", "--format", "jsonl"],
    "report": ["report", "night.csv", "{own}.report", "--local"],
    "finish": ["finish", "night.csv", "--local"],
    "completion": ["completion", "bash"],
    "serve": ["serve", "--port", "0", "--folder", "{own}.provider"],
    "review": ["review", "night.csv", "--local", "--no-open"],
}
"""Commands that print what they were asked for, or where it is."""

UNPRINTED = {
    "pair -o": ["pair", "images", "masks", "-o", "{own}.csv"],
    "export": ["export", "night.csv", "{own}.export", "--local"],
    "run": ["run", "night.csv", "--local"],
    "cancel": ["cancel", "night.csv", "--local"],
    "stop": ["stop", "night.csv", "--local"],
}
"""Commands that print nothing; they come to what they come to, whatever becomes of the streams."""

CODES = {"stop": 2}
"""Nothing runs that could be stopped."""

ENDLESS = frozenset({"serve", "review"})
"""They end by themselves only where their address cannot be printed."""

STREAMS = {
    "stdin closed": "<&-",
    "stdout closed": ">&-",
    "stderr closed": "2>&-",
    "all closed": "<&- >&- 2>&-",
    "stdout full": ">/dev/full",
    "stderr full": "2>/dev/full",
    "both full": ">/dev/full 2>/dev/full",
    "stdout gone": "| true",
}

FILES = (5, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 28, 32, 36, 40, 48, 56, 64)
"""How many files a run may open, which are too few; with fewer Python does not start."""


@dataclass(frozen=True, slots=True)
class _Found:
    tried: int
    broken: list[str]


def surrounded(seed: int, folder: Path, *, of_each: int | None = None) -> list[Line]:
    """Start every command with every kind of stream, and runs with few files; a line for each.

    *of_each*: so many of them only, drawn from *seed*.
    """
    write_manifest(folder, rows=3)
    ready = _sh(folder, ["run", "night.csv", "--local"], "")
    assert ready.returncode == 0, ready.stderr
    chance = random.Random(seed)
    named = [(name, kind) for name in PRINTED | UNPRINTED for kind in STREAMS]
    named = [pair for pair in named if not (pair[0] in ENDLESS and _is_printed(pair[1]))]
    limits = list(FILES)
    if of_each is not None:
        named, limits = chance.sample(named, of_each), chance.sample(limits, min(of_each, len(limits)))
    streams = _all([partial(_try_streams, folder, *pair, number) for number, pair in enumerate(named)])
    files = _all([partial(_try_files, folder, limit) for limit in limits])
    return [_line("closed and full streams", streams), _line("few files to open", files)]


def _is_printed(kind: str) -> bool:
    """Whether what goes to standard output is lost on nobody, or on one who wants no more."""
    return kind not in ("stdout closed", "all closed", "stdout full", "both full")


def _try_streams(folder: Path, name: str, kind: str, number: int) -> list[str]:
    arguments = [part.format(own=f"own-{number}") for part in (PRINTED | UNPRINTED)[name]]
    ran = _sh(folder, arguments, STREAMS[kind])
    expected = CODES.get(name, 0)
    if name in PRINTED and not _is_printed(kind):
        expected = 2
    broken = _untidy(ran)
    if kind != "stdout gone" and ran.returncode != expected:
        broken.append(f"exit {ran.returncode}, not {expected}: {ran.stderr[-300:]}")
    if expected == 2 and "2>" not in STREAMS[kind] and "batchfill: " not in ran.stderr:
        broken.append("no word of it")
    return [f"{name}, {kind}: {text}" for text in broken]


def _try_files(folder: Path, limit: int) -> list[str]:
    out = f"few-{limit}"
    ran = _sh(folder, ["run", "night.csv", "--local", "--out", out], "", f"ulimit -n {limit}; ")
    broken = _untidy(ran)
    if ran.returncode != 2:
        broken.append(f"exit {ran.returncode}")
    if (folder / out / "provider").exists():
        broken.append("something was begun")
    return [f"ulimit -n {limit}: {text}" for text in broken]


def _untidy(ran: subprocess.CompletedProcess[str]) -> list[str]:
    return [text for text in ("Traceback", "Exception ignored", "RuntimeWarning") if text in ran.stderr]


def _sh(
    folder: Path, arguments: Sequence[str], streams: str, before: str = ""
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "batchfill", *arguments]
    environ = {"PATH": "/usr/bin:/bin", "HOME": str(folder), "PYTHONPATH": str(ROOT), "PYTHONUTF8": "1"}
    return subprocess.run(
        ["/bin/sh", "-c", f'{before}"$@" {streams}', "sh", *command],
        cwd=folder,
        env=environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=LONG,
        check=False,
    )


def _all(tries: Sequence[partial[list[str]]]) -> _Found:
    # One after the other: a run holds the batch's lock.
    return _Found(len(tries), [text for one in tries for text in one()])


def _line(name: str, found: _Found) -> Line:
    return Line(name, {"tried": found.tried, "broken": len(found.broken)}, tuple(found.broken))
