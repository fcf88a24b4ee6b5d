"""The *modes* of folders and files that may not be written or read.

They do not bind root, which *obeys* them here all the same. A *bound* test is skipped where it cannot.
"""

from __future__ import annotations

import ctypes
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

LINUX = sys.platform == "linux"
OVERRIDE, READ_SEARCH = 1, 2
"""The capabilities to write, and to read, whatever a mode says."""
VERSION = 0x20080522
"""Of the structure in which the kernel takes capabilities: 64 bits of each kind, in two halves."""
EFFECTIVE, PERMITTED = 0, 1
DROP_FROM_BOUNDING_SET = 24
KERNEL = ctypes.CDLL(None) if LINUX else None
"""Loaded before any process is forked, which must not load it."""


def obey_modes() -> None:
    """Give up root's rights against modes, in the process that is about to begin."""
    if KERNEL is not None:
        for right in (OVERRIDE, READ_SEARCH):
            KERNEL.prctl(DROP_FROM_BOUNDING_SET, right, 0, 0, 0)


def obeying_modes(deed: Callable[[], T]) -> T:
    """Do *deed* as a user whom modes bind; return what it returns, raise what it raises.

    In a thread of its own: capabilities are a thread's, and what is given up does not come back. Another user
    would need a checkout that others may read.
    """
    with ThreadPoolExecutor(1, initializer=obey_modes_now) as one:
        return one.submit(deed).result()


def obey_modes_now() -> None:
    """Give up root's rights against modes, in this thread and those that it will start."""
    if KERNEL is None:
        return
    header = (ctypes.c_uint32 * 2)(VERSION, 0)
    held = (ctypes.c_uint32 * 6)()
    assert KERNEL.capget(header, held) == 0
    for first_half in (EFFECTIVE, PERMITTED):
        held[first_half] &= ~(1 << OVERRIDE | 1 << READ_SEARCH)
    assert KERNEL.capset(header, held) == 0


def _is_bound() -> bool:
    """Whether a process that obeys modes is refused anything, and can read the package all the same."""
    if os.name != "posix":
        return False
    if os.geteuid() != 0:
        return True
    package = Path(__file__).parents[2] / "batchfill" / "__init__.py"
    return LINUX and obeying_modes(lambda: os.access(package, os.R_OK))


bound = pytest.mark.skipif(not _is_bound(), reason="modes bind no user here, or keep root off the checkout")
"""Marks a test that asks for either."""
