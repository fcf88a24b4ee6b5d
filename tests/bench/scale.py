"""The second table: what grows with the number of rows."""

from __future__ import annotations

import json
import shutil
import socket
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from tests.bench.clients import IN_FLIGHT, UNPACED
from tests.bench.finished import finish
from tests.bench.manifest import write_manifest
from tests.bench.measure import Failed, measured
from tests.bench.offer import Offer
from tests.bench.runner import Told
from tests.bench.serving import serving

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from tests.bench.measure import Used

SIZES = (1_000, 10_000, 100_000, 1_000_000)
SUBMITTED = 1_000
"""Rows that a measured run submits at most."""

STEADY = 100, 900
"""Between those creates of such a run its cost a row is counted: beyond its start and before its end."""

DONE = 0.99
TIMES = 5
"""How often what takes a moment is measured."""

GOOD = 0, 3
"""Exit codes: all is done, or --limit was reached."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What a batch of some size costs. CPU times are seconds, but those of a row and of `status`: ms."""

    check_cpu: float
    check_peak_mb: float
    import_cpu: float
    """Of the first run, from its start to its first create."""
    import_peak_mb: float
    resume_seconds: float
    """Of a run with 99 % done and the manifest unchanged, from its start to its first create."""
    resume_cpu: float
    """The same in CPU time."""
    ending_cpu: float
    """Of that run, which submits one row, from its first create to its end."""
    row_cpu: float
    """Of a row, in the midst of a run."""
    peak_mb: float
    """Of a run that submits a thousand rows."""
    status_cpu: float


@dataclass(frozen=True, slots=True)
class Ran:
    """What one run cost."""

    used: Used
    told: Told
    first_at: float
    """When its first create came, in seconds since the epoch."""

    @property
    def cpu_to_create(self) -> float:
        """Seconds of CPU time from its start to its first create."""
        return self.told.cpu_at_create[0]

    @property
    def row_cpu(self) -> float:
        """CPU time of a row in its midst, in ms."""
        return slope(self.told.cpu_at_create)


class Place:
    """The folder of a manifest of some size, and batches of it."""

    def __init__(self, folder: Path, rows: int, offer: Offer) -> None:
        """*offer*: of the service of every run, its port too: a ledger remembers where it was begun."""
        self._folder = folder / str(rows)
        self._folder.mkdir()
        self._offer = offer
        self._manifest = write_manifest(self._folder, rows)

    def command(self, verb: str, *options: str) -> Used:
        """Run a command of batchfill's on the manifest."""
        return measured("batchfill", verb, str(self._manifest), *options, folder=self._folder)

    def run(self, batch: str, limit: int) -> Ran:
        """Begin a batch, or go on with it, and submit so many of its rows."""
        with serving(self._offer) as service:
            flags = {"base_url": service.base, "out": batch, "limit": limit}
            flags |= {"manifest": str(self._manifest), "concurrency": IN_FLIGHT, "rate": UNPACED}
            used = measured("tests.bench.runner", json.dumps(flags), folder=self._folder, good=GOOD)
            asked = service.asked()
        if asked.billed != limit:
            raise Failed(f"{asked.billed} made of {limit} rows")
        return Ran(used, Told(**json.loads(used.said)), asked.first_at)

    def copy(self, batch: str, name: str) -> Path:
        """Copy a batch; return the copy's ledger."""
        target = self._folder / name
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(self._folder / batch, target)
        return target / "ledger.sqlite"


def measure(
    sizes: Sequence[int], rounds: int, folder: Path, say: Callable[[str], object]
) -> dict[int, Figures]:
    """Return the figures of each size, in an empty *folder*; runs are repeated, those of a round in turn."""
    offer = Offer(port=free_port())
    places = {rows: Place(folder, rows, offer) for rows in sizes}
    begun = {rows: _begin(place, rows, say) for rows, place in places.items()}
    ran: dict[int, list[Ran]] = {rows: [] for rows in sizes}
    for number in range(1, rounds + 1):
        for rows, place in places.items():
            say(f"round {number} of {rounds}: a run in {rows:,} rows")
            place.copy("imported", "run")
            # The import has submitted one.
            ran[rows].append(place.run("run", min(SUBMITTED, rows - 1)))
    return {rows: Figures(**begun[rows], **_middle(ran[rows])) for rows in sizes}


def help_cpu(folder: Path) -> float:
    """Return the CPU time of `batchfill --help`, in ms."""
    return _often(lambda: measured("batchfill", "--help", folder=folder))


def slope(cpu: Sequence[float]) -> float:
    """Return the ms of CPU time from one row to the next, by the seconds used *at each create*."""
    first, last = STEADY
    return 1000 * (cpu[last] - cpu[first]) / (last - first)


def free_port() -> int:
    """Return a port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _begin(place: Place, rows: int, say: Callable[[str], object]) -> dict[str, float]:
    """Check, import and resume; return the figures of that."""
    say(f"{rows:,} rows: check")
    checked = place.command("check")
    say(f"{rows:,} rows: first import")
    imported = place.run("imported", 1)
    finish(place.copy("imported", "resumed"), int(rows * DONE))
    say(f"{rows:,} rows: resume")
    resumed = place.run("resumed", 1)
    return {
        "check_cpu": checked.cpu,
        "check_peak_mb": checked.peak_mb,
        "import_cpu": imported.cpu_to_create,
        "import_peak_mb": imported.used.peak_mb,
        "resume_seconds": resumed.first_at - resumed.used.began_at,
        "resume_cpu": resumed.cpu_to_create,
        "ending_cpu": resumed.used.cpu - resumed.cpu_to_create,
        "status_cpu": _often(lambda: place.command("status", "--out", "resumed")),
    }


def _middle(ran: Sequence[Ran]) -> dict[str, float]:
    return {
        "row_cpu": median(one.row_cpu for one in ran),
        "peak_mb": median(one.used.peak_mb for one in ran),
    }


def _often(command: Callable[[], Used]) -> float:
    """Return the median of a command's CPU time, in ms."""
    return 1000 * median(command().cpu for _ in range(TIMES))
