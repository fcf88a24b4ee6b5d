"""The first table: batchfill beside the ways people do the same work, and alone in other circumstances."""

from __future__ import annotations

import json
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median, quantiles
from typing import TYPE_CHECKING

from tests.bench.manifest import write_manifest
from tests.bench.measure import Failed, measured
from tests.bench.offer import Offer
from tests.bench.run_times import ideal
from tests.bench.serving import serving

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tests.bench.measure import Used
    from tests.bench.serving import Asked

OURS = "batchfill"
PEERS = {
    "bare aiohttp script": "bare_aiohttp",
    "bare httpx script": "bare_httpx",
    "official `replicate`, async": "official",
}
"""By the name of what is in `peers/`."""

IN_FLIGHT = 100
UNPACED = 100_000
"""Creates a minute: as many as there are."""

WARMING = 20
"""Rows of the runs before any is measured, so that none pays for what Python compiles and the disk reads."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One piece of work at one kind of service."""

    offer: Offer
    rows: int = 1000
    concurrency: int = IN_FLIGHT
    rate: int = UNPACED
    """Creates a minute that batchfill is told to make at most."""

    @property
    def ideal(self) -> float:
        """The seconds that it takes at least."""
        return ideal(self.offer, self.rows, self.concurrency)


TOGETHER = Setting(offer=Offer(spread=0.2))
"""What all of them do. Were every run just a second long, looks each half second would come just in time."""

ALONE = {
    "every run 1 s": Setting(offer=Offer()),
    "1 s ± 20 %, no list offered": Setting(offer=Offer(spread=0.2, has_list=False)),
    "10 s ± 20 %": Setting(offer=Offer(run_time=10, spread=0.2), rows=300),
    "10 s, 600 creates a minute": Setting(
        offer=Offer(run_time=10, creates_per_minute=600), rows=300, concurrency=128, rate=600
    ),
    "1 s, outputs of 2 MB": Setting(offer=Offer(output_bytes=2_000_000), rows=200),
}
"""What batchfill does besides."""

IN_FLIGHT_ROWS = {0.2: 3000, 1: 3000, 10: 1000}
"""How many rows, by the seconds that a run takes: each takes a minute or two at most."""

MANY = {
    f"{flight:,}, {run_time:g} s": Setting(
        offer=Offer(run_time=run_time, spread=0.2), rows=rows, concurrency=flight
    )
    for flight in (100, 256, 1000)
    for run_time, rows in IN_FLIGHT_ROWS.items()
}
"""Many in flight, at runs of different lengths."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What one run came to. Times are in ms, and CPU times those of a row."""

    cpu: float
    """Of the whole process, its start and its end included."""
    decoding: float
    """Of that, spent on decoding pictures to see whether they are whole: no peer does."""
    requests: float
    """To the API, a row: creates included, outputs not."""
    makespan: float
    """From the first create to the end of the process, as a multiple of the ideal."""
    peak_mb: float
    noticed: float
    """From a prediction's end until the client was told: half of them sooner."""
    noticed_p90: float
    noticed_max: float
    throttled: float
    """Creates that were refused, a row."""
    service: float
    """CPU time of the service, to show that it is not what was measured."""


def compare(rounds: int, say: Callable[[str], object]) -> dict[str, list[Figures]]:
    """Return the figures of every client doing the same work, those of a round taken in turn."""
    names = [OURS, *PEERS]
    for name in names:
        run(name, Setting(offer=TOGETHER.offer, rows=WARMING))
    found: dict[str, list[Figures]] = {name: [] for name in names}
    for number in range(1, rounds + 1):
        for name in names:
            say(f"round {number} of {rounds}: {name}")
            found[name].append(run(name, TOGETHER))
    return found


def go_alone(
    settings: Mapping[str, Setting], rounds: int, say: Callable[[str], object]
) -> dict[str, list[Figures]]:
    """Return batchfill's figures in each of the *settings*."""
    found: dict[str, list[Figures]] = {name: [] for name in settings}
    for number in range(1, rounds + 1):
        for name, setting in settings.items():
            say(f"round {number} of {rounds}: {OURS}, {name}")
            found[name].append(run(OURS, setting))
    return found


def run(client: str, setting: Setting) -> Figures:
    """Let *client* do the work of *setting*. Raises Failed unless every row was made once, and is there."""
    with tempfile.TemporaryDirectory() as place, serving(setting.offer) as service:
        folder = Path(place)
        manifest = write_manifest(folder, setting.rows)
        used = measured(*command_of(client, setting, service.base, manifest), folder=folder)
        asked = service.asked()
        pictures = len(list(folder.rglob("r*.webp"))) + len(list(folder.rglob("r*.png")))
    if not asked.billed == pictures == setting.rows:
        raise Failed(f"{client}: {asked.billed} made and {pictures} fetched of {setting.rows} rows")
    decoding = json.loads(used.said)["decoding"] if client == OURS else 0.0
    return figures(setting, used, asked, decoding)


def figures(setting: Setting, used: Used, asked: Asked, decoding: float) -> Figures:
    """Return what a run came to that *used* so much, *decoding* seconds of it, and *asked* that."""
    noticed = [1000 * delay for delay in asked.delays]
    return Figures(
        cpu=1000 * used.cpu / setting.rows,
        decoding=1000 * decoding / setting.rows,
        requests=asked.requests / setting.rows,
        makespan=(used.ended_at - asked.first_at) / setting.ideal,
        peak_mb=used.peak_mb,
        noticed=median(noticed),
        noticed_p90=quantiles(noticed, n=10, method="inclusive")[-1],
        noticed_max=max(noticed),
        throttled=asked.asked.get("throttled", 0) / setting.rows,
        service=1000 * asked.cpu / setting.rows,
    )


def median_of(found: Sequence[Figures]) -> Figures:
    """Return the median of each figure; of the longest delays the longest."""
    every: list[Mapping[str, float]] = [asdict(one) for one in found]
    middle = {name: median(one[name] for one in every) for name in every[0]}
    return Figures(**middle | {"noticed_max": max(one.noticed_max for one in found)})


def command_of(client: str, setting: Setting, base: str, manifest: Path) -> list[str]:
    """Return the module that is *client*, and what it is told."""
    if client == OURS:
        flags = {"base_url": base, "concurrency": setting.concurrency, "rate": setting.rate}
        return ["tests.bench.runner", json.dumps({"manifest": str(manifest), **flags})]
    return [f"tests.bench.peers.{PEERS[client]}", base, str(manifest), str(manifest.parent)]
