"""Questions to the service that cost nothing, asked again while it cannot answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import anyio

from batchfill.errors import TransientError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

Answer = TypeVar("Answer")

WAITS = (1.0, 3.0, 10.0)
"""Seconds before each further try, where the service names no time."""

LONGEST_WAIT = 60.0
"""Seconds that a start waits at most for a time which the service named."""


async def ask_patiently(
    question: Callable[[], Awaitable[Answer]], *, at_once: type[TransientError] | tuple[()] = ()
) -> Answer:
    """Return the answer to *question*. Raises the last TransientError, and *at_once* without another try."""
    for wait in WAITS:
        try:
            return await question()
        except at_once:
            raise
        except TransientError as error:
            await anyio.sleep(min(error.wait or wait, LONGEST_WAIT))
    return await question()
