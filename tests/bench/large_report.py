"""What a report of a large batch costs, and how large its files are: `python -m tests.bench.large_report`."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from tests.bench.large_batch import make_large_batch
from tests.bench.measure import measured


def main() -> None:
    """Make a batch, write its report, and say what that took."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.large_report", description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    rows: int = parser.parse_args().rows
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        manifest = make_large_batch(Path(folder), rows)
        used = measured("batchfill", "report", manifest.name, folder=manifest.parent)
        report = manifest.with_suffix(".report")
        loaded = [report / "index.html", *report.glob("pieces/*")]
        print(
            f"{rows:,} rows: {used.cpu:.1f} s of CPU, {used.ended_at - used.began_at:.1f} s, "
            f"{used.peak_mb:.0f} MB; {len(loaded):,} files that the page loads, "
            f"the largest of {max(file.stat().st_size for file in loaded) / 1e6:.2f} MB"
        )


if __name__ == "__main__":
    main()
