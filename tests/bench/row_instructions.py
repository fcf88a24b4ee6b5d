"""How many instructions a start takes, and each row: `python -m tests.bench.row_instructions`.

Takes valgrind, which counts them whatever else the machine does. Only work outside of the kernel counts.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.bench.clients import OURS, Setting, command_of
from tests.bench.manifest import write_manifest
from tests.bench.measure import ENVIRON, Failed
from tests.bench.offer import Offer
from tests.bench.serving import serving

COUNT = ("valgrind", "--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null")
FEW, MANY = 20, 300
"""Rows of the two runs that are compared."""

OFFERS = {OURS: Offer(run_time=30, spread=0.2), "bare aiohttp script": Offer(spread=0.2)}
"""What the service offers, by client. Valgrind makes a program fifty times slower, so that lists would come
more often in a run of a second; the script asks every half second, however long a run is."""


def count_instructions(client: str, rows: int) -> int:
    """Return what *client* takes for so many rows. Raises Failed."""
    with tempfile.TemporaryDirectory(prefix="bench-") as place, serving(OFFERS[client]) as service:
        manifest = write_manifest(Path(place), rows)
        setting = Setting(offer=OFFERS[client], rows=rows)
        command = [*COUNT, sys.executable, "-m", *command_of(client, setting, service.base, manifest)]
        ran = subprocess.run(command, cwd=place, env=ENVIRON, capture_output=True, text=True, check=False)
    if ran.returncode:
        raise Failed(f"{client}: ended with {ran.returncode}: {ran.stderr[-2000:]}")
    return counted(ran.stderr)


def counted(said: str) -> int:
    """Return the instructions that valgrind has *said* were executed. Raises Failed."""
    found = re.search(r"I\s+refs:\s+([\d,]+)", said)
    if found is None:
        raise Failed(f"valgrind says no count: {said[-2000:]}")
    return int(found[1].replace(",", ""))


def main() -> None:
    """Print millions of instructions, of a start and of each row."""
    print("| client | start | each row |", "| --- | ---: | ---: |", sep="\n")
    for client in OFFERS:
        count_instructions(client, 1)  # what Python compiles is on the disk from here on
        few, many = count_instructions(client, FEW), count_instructions(client, MANY)
        row = (many - few) / (MANY - FEW)
        print(f"| {client} | {(few - FEW * row) / 1e6:,.0f} | {row / 1e6:.1f} |", flush=True)


if __name__ == "__main__":
    main()
