"""Every edge of a night, walked: `python -m tests.chaos.crashes`.

Ends with 1 when a promise was broken.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

from tests.chaos.crashes.edges import walk_all
from tests.chaos.crashes.lines import lines
from tests.chaos.soak.table import table


def main() -> None:
    """Walk, print the table, and say what broke and where its nights are kept."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--at-most", type=int, help="walk so many nights, drawn by chance")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="crashes-"))
    found = lines(walk_all(folder, at_most=options.at_most, seed=options.seed))
    print(*table("a night's edges", found), sep="\n")
    broken = [text for line in found for text in line.broken]
    for text in broken[:50]:
        print(f"BROKEN: {text}")
    if broken:
        sys.exit(f"{len(broken)} nights broke a promise; see {folder}")
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
