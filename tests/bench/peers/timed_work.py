"""What the scripts of photographs share: the sizes, and how their work is timed."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Work = Callable[[Path, Path, Path, Path], None]

SENT_PIXELS = 1_500_000
"""About what the model makes."""

FEATHER = 4
"""Pixels over which a script blends."""


def do_timed(works: Mapping[str, Work]) -> None:
    """Do the work that the command line names, and print its milliseconds of CPU: imports are not its own."""
    name, *paths = sys.argv[1:]
    picture, mask, output, target = map(Path, paths)
    began = time.process_time()
    works[name](picture, mask, output, target)
    print(f"{(time.process_time() - began) * 1000:.1f}", end="")
