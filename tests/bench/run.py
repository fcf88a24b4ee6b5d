"""What a row costs: makespan, requests, CPU and memory of one batch against the embedded provider.

Run it with `make bench`, or `python tests/bench/run.py --rows 2000 --concurrency 100 --latency 1`. The
provider runs in a process of its own and draws no pictures, so that it is not what is measured.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
from pathlib import Path

PROVIDER = """
import sys
from pathlib import Path
import anyio
from batchfill.local.serve import serve
anyio.run(lambda: serve(
    Path(sys.argv[1]), token="bench", latency=float(sys.argv[2]), tiny=True,
    on_ready=lambda base: print(base, flush=True),
))
"""

RUNNER = """
import json, resource, sys
import anyio
from batchfill import Batch
base, concurrency = sys.argv[1], int(sys.argv[2])
batch = Batch.open("night.csv", base_url=base, concurrency=concurrency, rate=100_000)
summary = anyio.run(batch.run)
used = resource.getrusage(resource.RUSAGE_SELF)
print(json.dumps({
    "exit": summary.exit_code, "seconds": summary.elapsed, "requests": summary.requests,
    "cpu": used.ru_utime + used.ru_stime, "memory_mb": used.ru_maxrss / 1024,
}))
"""


def main() -> None:
    """Measure a few rounds and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1000)
    parser.add_argument("--concurrency", type=int, default=100)
    parser.add_argument("--latency", type=float, default=1.0)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    ideal = math.ceil(asked.rows / asked.concurrency) * asked.latency
    print(f"{asked.rows} rows, {asked.concurrency} in flight, runs of {asked.latency:g} s; ideal {ideal:g} s")
    print(f"{'round':>5} {'makespan/ideal':>15} {'requests/row':>13} {'CPU ms/row':>11} {'peak MB':>8}")
    for number in range(1, asked.rounds + 1):
        found = measure(asked.rows, asked.concurrency, asked.latency)
        print(
            f"{number:>5} {found['seconds'] / ideal:>15.3f} {found['requests'] / asked.rows:>13.2f}"
            f" {found['cpu'] / asked.rows * 1000:>11.2f} {found['memory_mb']:>8.0f}"
        )


def measure(rows: int, concurrency: int, latency: float) -> dict[str, float]:
    """Run one batch in a folder of its own; return what its process says of itself."""
    with tempfile.TemporaryDirectory() as folder:
        write_manifest(Path(folder) / "night.csv", rows)
        provider = subprocess.Popen(
            [sys.executable, "-c", PROVIDER, f"{folder}/provider", str(latency)],
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            assert provider.stdout is not None
            base = provider.stdout.readline().strip()
            runner = subprocess.run(
                [sys.executable, "-c", RUNNER, base, str(concurrency)],
                cwd=folder,
                env={**os.environ, "BATCHFILL_TOKEN": "bench"},
                stdout=subprocess.PIPE,
                text=True,
                check=True,
            )
        finally:
            provider.terminate()
            provider.wait()
    found: dict[str, float] = json.loads(runner.stdout)
    if found["exit"] != 0:
        raise SystemExit("the batch did not end with every row done: nothing was measured")
    return found


def write_manifest(path: Path, rows: int) -> None:
    """Write rows whose pictures are addresses, so that no file is read."""
    lines = (
        f"r{n},https://example.com/{n}.png,https://example.com/{n}-mask.png,row {n}\n" for n in range(rows)
    )
    with path.open("w", encoding="utf-8") as file:
        file.write("id,image,mask,prompt\n")
        file.writelines(lines)


if __name__ == "__main__":
    main()
