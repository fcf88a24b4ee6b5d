"""The service in a process of its own, and what it was asked there."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING
from urllib.request import urlopen

from tests.bench.measure import ENVIRON
from tests.bench.offer import REPORT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.bench.offer import Offer

BEYOND_THE_API = ("output", "throttled")
"""What is counted with the calls and is none: fetched outputs, and which of the creates were refused."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What the service was asked."""

    billed: int
    """Predictions that were made."""
    asked: dict[str, int]
    """How often for each call, and how many creates were `throttled`."""
    first_at: float
    """When the first prediction was made, in seconds since the epoch."""
    delays: list[float]
    """Seconds from a prediction's end until the client was told, for each."""
    cpu: float
    """Seconds that the service itself has worked, its start left out."""

    @property
    def requests(self) -> int:
        """Requests to the API, refused ones too."""
        return sum(count for call, count in self.asked.items() if call not in BEYOND_THE_API)


@dataclass(frozen=True, slots=True)
class Served:
    """A service that runs."""

    base: str

    def asked(self) -> Asked:
        """Return what it was asked so far."""
        with urlopen(f"{self.base.removesuffix('/v1')}{REPORT}") as answer:
            return Asked(**json.load(answer))


@contextmanager
def serving(offer: Offer) -> Iterator[Served]:
    """Run a service of that kind meanwhile."""
    command = [sys.executable, "-m", "tests.bench.service", json.dumps(asdict(offer))]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, env=ENVIRON, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield Served(process.stdout.readline().strip())
        finally:
            process.stdin.close()
            process.wait()
