"""The gate before every payment: bounds, pace, care and fetching first are all asked here."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

from batchfill.run.bell import Bell
from batchfill.run.care import Care
from batchfill.run.width import Width
from batchfill.values import RowState

if TYPE_CHECKING:
    from collections.abc import Callable

    from batchfill.run.tools import Tools

Hold = tuple[str | None, float | None]
"""Why a row has to wait, in words where a person should know, and for how many seconds at most."""


class Gate:
    """Lets a row in when one more prediction may be made; it stays inside until its answer is recorded."""

    def __init__(
        self,
        tools: Tools,
        hold: Callable[[], Hold | None],
        *,
        unanswered: Callable[[], int],
        run_time: Callable[[], float | None],
    ) -> None:
        """*hold* says why nothing may be submitted now; None: go on. *unanswered* counts open POSTs.

        *run_time*: seconds that a prediction is expected to take; None while unknown.
        """
        self._tools = tools
        self._hold = hold
        self._unanswered = unanswered
        self._run_time = run_time
        self._width = Width()
        self._line = anyio.Lock(fast_acquire=True)
        self._inside = 0
        self._submitted = 0
        self.care = Care()
        self.bell = Bell()
        """Rings when what the gate looks at may have changed."""
        self.waiting_for: str | None = None
        """Why rows are waiting, for the person who watches."""

    async def enter(self) -> None:
        """Wait until one more prediction may be made, in the order of those who come, and take its place."""
        async with self._line:
            while True:
                await self._wait_for_room()
                if self.care.careful and not await self._service_answers():
                    continue
                self._inside += 1
                try:
                    await self._tools.creates.turn()
                except BaseException:
                    self._inside -= 1
                    raise
                # Whatever came up while this row waited for the pace counts too.
                if self._blocked(self._inside - 1) is None:
                    return
                self._inside -= 1

    def leave(self) -> None:
        """Give the place back: the ledger counts the prediction now, or there is none."""
        self._inside -= 1
        self.bell.ring()

    def submitted(self) -> None:
        """A prediction was made, or may have been: counts for --limit."""
        self._submitted += 1

    def accepted(self, seconds: float) -> None:
        """A create was accepted, *seconds* after its intent: ends the care after trouble."""
        self._width.answered(seconds)
        self.care.accepted()
        self._tools.creates.accepted()

    async def _service_answers(self) -> bool:
        """Ask what costs nothing, before a create that may be lost like the one before it."""
        tools = self._tools
        answers = await tools.service.answers(tools.ledger.last_accepted)
        if not answers:
            self.care.trouble(tools.clock.now())
        return answers

    async def _wait_for_room(self) -> None:
        while True:
            seen = self.bell.rung
            blocked = self._blocked(self._inside) or self._crowded()
            if blocked is None:
                self.waiting_for = None
                return
            self.waiting_for, seconds = blocked
            await self.bell.wait(seen, seconds)

    def _blocked(self, others: int) -> Hold | None:
        tools = self._tools
        limit = tools.settings.limit
        if limit is not None and self._submitted + others >= limit:
            return None, None
        wait = self.care.wait(tools.clock.now(), others)
        if wait != 0.0:
            return "the service to accept a row again after trouble", wait
        # What was lost may be running; the ledger's other submitting rows are among those inside.
        lost = tools.ledger.in_state(RowState.SUBMITTING) - self._unanswered()
        if tools.ledger.in_state(RowState.RUNNING) + lost + others >= tools.settings.concurrency:
            return None, None
        return self._hold()

    def _crowded(self) -> Hold | None:
        """Return what keeps a row out while as many creates are open as keep up with pace and bounds."""
        per_second = self._tools.creates.per_minute / 60
        if run_time := self._run_time():
            per_second = min(per_second, self._tools.settings.concurrency / run_time)
        return (None, None) if self._inside >= self._width.needed(per_second) else None
