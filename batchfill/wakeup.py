"""How tasks of one event loop wake each other."""

from __future__ import annotations

import asyncio


class Wakeup:
    """Wakes all tasks that wait; a ring between looking and waiting is not missed."""

    def __init__(self) -> None:
        self.version = 0
        """How often it rang; note it before looking, and give it to `wait`."""
        self._event = asyncio.Event()
        self._waiting = 0
        """How many wait for the event."""

    def notify(self) -> None:
        """Wake all that wait."""
        self.version += 1
        if self._waiting:
            self._event.set()
            self._event, self._waiting = asyncio.Event(), 0

    async def wait(self, seen: int, seconds: float | None = None) -> None:
        """Return once it has rung since *seen*, or after *seconds*."""
        if self.version != seen:
            return
        event = self._event
        self._waiting += 1
        try:
            # Bells are waited for everywhere and all the time: asyncio's own way costs a third of anyio's.
            async with asyncio.timeout(seconds):
                await event.wait()
        except TimeoutError:
            pass
        finally:
            if event is self._event:
                self._waiting -= 1
