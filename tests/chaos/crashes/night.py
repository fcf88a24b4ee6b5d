"""A small night with something of everything: two pictures, a failure, a throttled create, an upload."""

from __future__ import annotations

import re
import shutil
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from batchfill.emulator.emulator_server import EmulatorServer
from batchfill.emulator.faults.rules import Fault, Faults
from batchfill.emulator.quirks import Quirks
from tests.chaos.crashes.effects import DIED
from tests.support.desk import Desk
from tests.support.providers import TOKEN

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.chaos.crashes.disk import Lost
    from tests.chaos.crashes.effects import Edge
    from tests.chaos.crashes.forks import Forks

ROWS = 4
FINISHED = 2
"""Files that are made of outputs, which are kept beside them."""

FAILED = 1
"""Predictions that fail, and are made again, at no cost."""

ALL = Quirks()
GATEWAY = Quirks(offers=frozenset(), create_status=200, foreign_urls=True)
"""No list, no files, no cancel, no account."""

LATER = 700.0
"""Seconds between a death and the next start: whatever was on its way has come to its end."""

HOUR = 3700.0


def faults() -> Faults:
    """Return what goes wrong in every such night, by the position of a create at the provider."""
    throttled = Fault("create", "status", at=frozenset({1}), options={"status": 429, "seconds": 0})
    failing = Fault("create", "fail", at=frozenset({3}), options={"error": "Director: unexpected error"})
    return Faults([throttled, failing])


@dataclass(slots=True)
class MovedClock:
    """The time of the batch and of its provider."""

    ahead: float = 0.0
    """Seconds that it has moved on."""

    def __call__(self) -> float:
        """Return seconds since the epoch."""
        return time.time() + self.ahead


@dataclass(slots=True)
class Night:
    """One batch, its provider and its runs, which die and go on."""

    folder: Path
    """Holds all of it."""
    provider: EmulatorServer
    forks: Forks
    clock: MovedClock
    codes: list[int] = field(default_factory=list)
    """How the runs ended, in order."""

    @property
    def manifest(self) -> Path:
        """What the user wrote."""
        return self.folder / "night.csv"

    @property
    def batch(self) -> Path:
        """The batch folder."""
        return self.folder / "night.batch"

    async def run(self, **options: Any) -> int:
        """Run the batch in a process of its own, some minutes after the last one; see child.run."""
        code = await self.forks(
            manifest=str(self.manifest), base=self.provider.base, ahead=self.clock.ahead, **options
        )
        self.codes.append(code)
        # One that ended in another time than it began in would look as if it had run for so long.
        await self.provider.until(lambda: all(record.ended for record in self.provider.predictions()))
        self.clock.ahead += LATER
        return code

    async def lose_power(self, edge: Edge, lost: Lost) -> int:
        """Run until *edge*, where the power fails; the batch folder is what is left of it."""
        code = await self.run(edge=edge, lost=lost)
        left = self.folder / "left"
        if code == DIED and self.batch.exists():
            self.batch.rename(self.folder / "before the power failed")
        if left.exists():
            left.rename(self.batch)
        return code

    def copy(self) -> Path:
        """Return a copy of the batch folder, to look into without touching it."""
        copied = self.folder / f"copy{len(self.codes)}"
        return shutil.copytree(self.batch, copied) if self.batch.exists() else copied

    def swap_ids(self) -> None:
        """Let the user give two rows each other's ids."""
        swapped = {"r3": "r4", "r4": "r3"}
        text = self.manifest.read_text("utf-8")
        self.manifest.write_text(re.sub(r"^r[34]", lambda id_: swapped[id_[0]], text, flags=re.MULTILINE))

    def pass_the_hour(self) -> None:
        """Let an hour go by: the service removes all that it has made."""
        self.clock.ahead += HOUR
        for record in self.provider.predictions():
            if record.ended:
                self.provider.expire(record.id)

    def said(self) -> str:
        """Return what its runs have printed."""
        said = self.folder / "said.txt"
        return said.read_text("utf-8") if said.exists() else ""


@asynccontextmanager
async def open_night(folder: Path, forks: Forks, quirks: Quirks = ALL) -> AsyncIterator[Night]:
    """Begin a night in *folder*, which is made."""
    folder.mkdir(parents=True)
    _write(Desk(folder))
    clock = MovedClock()
    provider = EmulatorServer(
        folder / "provider", token=TOKEN, tiny=True, faults=faults(), quirks=quirks, clock=clock
    )
    await provider.start()
    try:
        yield Night(folder, provider, forks, clock)
    finally:
        await provider.stop()


def _write(desk: Desk) -> None:
    rows = desk.rows(ROWS)
    rows[0]["num_outputs"] = "2"
    rows[1]["image"] = f"images/{_large(desk, 'large.png')}"
    rows[1]["mask"] = "masks/large.png"
    rows[0]["finish"] = "exact"
    desk.write(rows)


def _large(desk: Desk, name: str) -> str:
    """Save a picture that is too large to go inline, and its mask."""
    desk.picture(name, size=(320, 320))
    grain = np.random.default_rng(1).integers(0, 256, (320, 320, 3), dtype=np.uint8)
    Image.fromarray(grain).save(desk.folder / "images" / name)
    return name
