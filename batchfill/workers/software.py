"""The software that decides what a task makes: the same task has the same bytes where it is the same."""

from __future__ import annotations

from functools import cache
from importlib.metadata import version

from batchfill._version import __version__

PACKAGES = ("Pillow", "numpy")
"""What pixels go through, besides batchfill."""


@cache
def software_here() -> str:
    """Return what this process works with: `batchfill 0.1.0, Pillow 12.0.0, numpy 2.3.5`."""
    return ", ".join([f"batchfill {__version__}", *(f"{name} {version(name)}" for name in PACKAGES)])


def is_software(text: str) -> bool:
    """Whether *text* is what `software_here` returns in some process."""
    return text.startswith("batchfill ")
