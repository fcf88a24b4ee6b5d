"""The *modes* of folders and files that may not be written or read.

They do not bind root, which obeys them in tests all the same. A *bound* test is skipped where it cannot.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.support.capabilities import obeying_modes


def _is_bound() -> bool:
    """Whether a process that obeys modes is refused anything, and can read the package all the same."""
    if os.name != "posix":
        return False
    if os.geteuid() != 0:
        return True
    package = Path(__file__).parents[2] / "batchfill" / "__init__.py"
    return sys.platform == "linux" and obeying_modes(lambda: os.access(package, os.R_OK))


bound = pytest.mark.skipif(not _is_bound(), reason="modes bind no user here, or keep root off the checkout")
"""Marks a test that asks for either."""
