"""Where the CPU of a row goes, by a sampling profiler: `python -m tests.bench.row_profile`.

Takes py-spy, which is no dependency: `pip install py-spy`. Only the thread that has the interpreter counts:
others may wait for a disk, which looks like work. Each sample belongs to the first part below whose function
is in its stack. The table is printed as Markdown.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from tests.bench.clients import TOGETHER, UNPACED
from tests.bench.manifest import write_manifest
from tests.bench.measure import ENVIRON
from tests.bench.serving import serving

if TYPE_CHECKING:
    from collections.abc import Iterable

ROWS = 2000
SAMPLES_A_SECOND = 200

PARTS = {
    "_connection_worker_thread": "thread of the ledger",
    "WorkerThread.run": "threads that write and decode outputs",
    "_find_and_load": "imports",
    "_read_ready": "event loop: bytes of answers",
    "fetch (batchfill/providers/downloads.py": "event loop: requests for outputs",
    "write_staged": "event loop: handing outputs to threads",
    "place_outputs": "event loop: places of outputs, and their records",
    "_download_row": "event loop: downloads, apart from these",
    "create (batchfill/providers/replicate/client.py": "event loop: creates, their requests and answers",
    "serve_due": "event loop: rows made ready, intents, ids",
    "_worker (batchfill/run/submit/submitter.py": "event loop: rows made ready, intents, ids",
    "_poll_list": "event loop: lists, their requests and answers",
    "settle_prediction": "event loop: ends",
    "_run_once": "event loop: asyncio itself, and stages that look for work",
}
"""What a part is called, by a piece of how a frame of it is written. The first that fits counts."""
REST = "start and end of the process"


def profile(folder: Path, base: str) -> list[str]:
    """Return the stacks of one run, each with how often it was met."""
    manifest, found = write_manifest(folder, ROWS), folder / "stacks.txt"
    flags = {"manifest": str(manifest), "base_url": base, "concurrency": TOGETHER.concurrency}
    run = [sys.executable, "-m", "tests.bench.runner", json.dumps(flags | {"rate": UNPACED})]
    how = ["--gil", "--threads", "--rate", str(SAMPLES_A_SECOND), "--format", "raw", "--output", str(found)]
    command = ["py-spy", "record", *how, "--", *run]
    subprocess.run(command, cwd=folder, env=ENVIRON, check=True, stdout=subprocess.DEVNULL)
    return found.read_text("utf-8").splitlines()


def count_parts(stacks: Iterable[str]) -> Counter[str]:
    """Return how many samples each part has."""
    counted: Counter[str] = Counter()
    for line in stacks:
        stack, _, times = line.rpartition(" ")
        part = next((part for piece, part in PARTS.items() if piece in stack), REST)
        counted[part] += int(times)
    return counted


def main() -> None:
    """Print the shares, the largest first."""
    with tempfile.TemporaryDirectory(prefix="bench-") as place, serving(TOGETHER.offer) as service:
        counted = count_parts(profile(Path(place), service.base))
    print("| part of a row's time in the interpreter | share |", "| --- | ---: |", sep="\n")
    for part, samples in counted.most_common():
        print(f"| {part} | {100 * samples / counted.total():.0f} % |")


if __name__ == "__main__":
    main()
