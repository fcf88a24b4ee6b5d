"""A cluster without machines.

*Machines* do their work in this process. A test says who is there, and what becomes of a task.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from batchfill.wakeup import Wakeup
from batchfill.workers.cluster import Members
from batchfill.workers.sealed import Sealed, do_sealed

if TYPE_CHECKING:
    from collections.abc import Callable


class Machines:
    """What a `Cluster` is to those who use it."""

    def __init__(self, threads: int) -> None:
        self.address = "tls://cluster.test:8786"
        self.members = self.next = Members(threads)
        self.changed = Wakeup()
        self.at_once = self.most = 0
        self.given = 0
        self.answers: Callable[[int], Any] = lambda given: None
        """Called with how many tasks were given out so far: raises, or returns an event to wait for."""

    async def look(self) -> None:
        """See those who are there now."""
        if self.next != self.members:
            self.members = self.next
            self.changed.notify()

    async def run(self, work: Callable[[Any], Any], task: Any) -> tuple[bool, Any]:
        """Do it here."""
        self.given += 1
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        try:
            event = self.answers(self.given)
            if event is not None:
                await event.wait()
        finally:
            self.at_once -= 1
        done, answer = do_sealed(Sealed((work, task))).unseal()
        return done, answer

    async def close(self) -> None:
        """Leave it."""
