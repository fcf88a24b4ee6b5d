"""How tasks of one event loop wake each other."""

from __future__ import annotations

import asyncio


class Wakeup:
    """Wakes all tasks that wait; a ring between looking and waiting is not missed."""

    def __init__(self) -> None:
        self.version = 0
        """How often it rang; note it before looking, and give it to `wait`."""
        self._waiting: set[asyncio.Future[None]] = set()

    def notify(self) -> None:
        """Wake all that wait."""
        self.version += 1
        for waiting in self._waiting:
            _wake(waiting)
        self._waiting.clear()

    async def wait(self, seen: int, seconds: float | None = None) -> None:
        """Return once it has rung since *seen*, or after *seconds*."""
        if self.version != seen:
            return
        # Bells are waited for all the time: an event with a time-out costs three times as much.
        loop = asyncio.get_running_loop()
        waiting = loop.create_future()
        timer = None if seconds is None else loop.call_later(seconds, _wake, waiting)
        self._waiting.add(waiting)
        try:
            await waiting
        finally:
            self._waiting.discard(waiting)
            if timer is not None:
                timer.cancel()


def _wake(waiting: asyncio.Future[None]) -> None:
    if not waiting.done():
        waiting.set_result(None)
