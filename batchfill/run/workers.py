"""Heavy work beside the event loop: frozen tasks in, values out, at most one a core."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Protocol, TypeVar

import anyio
from anyio import to_thread

if TYPE_CHECKING:
    from collections.abc import Callable

Task = TypeVar("Task")
Answer = TypeVar("Answer")


class Workers(Protocol):
    """Who does heavy work. A task is picklable, holds no token and no ledger, and may run twice."""

    async def do(self, work: Callable[[Task], Answer], task: Task) -> Answer:
        """Return what *work* makes of *task*."""


class Threads:
    """Threads: Pillow lets go of the interpreter while it decodes, scales and encodes."""

    def __init__(self, most: int | None = None) -> None:
        self._limit = anyio.CapacityLimiter(most or os.cpu_count() or 2)

    async def do(self, work: Callable[[Task], Answer], task: Task) -> Answer:
        """Return what *work* makes of *task*."""
        return await to_thread.run_sync(work, task, limiter=self._limit)
