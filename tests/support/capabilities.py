"""The *capabilities* by which root writes and reads whatever a mode says, given up.

Forks of commands import this: it needs nothing of pytest.
"""

from __future__ import annotations

import ctypes
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

OVERRIDE, READ_SEARCH = 1, 2
"""The capabilities to write, and to read, whatever a mode says."""
VERSION = 0x20080522
"""Of the structure in which the kernel takes capabilities: 64 bits of each kind, in two halves."""
EFFECTIVE, PERMITTED = 0, 1


def obeying_modes(deed: Callable[[], T]) -> T:
    """Do *deed* as a user whom modes bind; return what it returns, raise what it raises.

    In a thread of its own: capabilities are a thread's, and what is given up does not come back. Another user
    would need a checkout that others may read.
    """
    with ThreadPoolExecutor(1, initializer=obey_modes) as one:
        return one.submit(deed).result()


def obey_modes() -> None:
    """Give up root's rights against modes, in this thread and those that it will start."""
    if sys.platform != "linux":
        return
    kernel = ctypes.CDLL(None)
    header = (ctypes.c_uint32 * 2)(VERSION, 0)
    held = (ctypes.c_uint32 * 6)()
    assert kernel.capget(header, held) == 0
    for first_half in (EFFECTIVE, PERMITTED):
        held[first_half] &= ~(1 << OVERRIDE | 1 << READ_SEARCH)
    assert kernel.capset(header, held) == 0
