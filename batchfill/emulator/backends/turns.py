"""Whose turn it is: predictions that wait for a slot, in a line for each sender."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

Slot = TypeVar("Slot")


@dataclass(eq=False, slots=True)
class Turn(Generic[Slot]):
    """One prediction that waits."""

    sender: str
    avoid: set[str] = field(default_factory=set)
    """Containers that it should not meet again while there are others."""
    given: asyncio.Future[Slot] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    """The slot, once there is one."""


class Turns(Generic[Slot]):
    """The queue: each sender in turn, and first come, first served within one sender's line."""

    def __init__(self) -> None:
        self._lines: OrderedDict[str, list[Turn[Slot]]] = OrderedDict()

    def __len__(self) -> int:
        return sum(map(len, self._lines.values()))

    def add(self, turn: Turn[Slot], *, first: bool = False) -> None:
        """Put *turn* at the end of its sender's line; *first*: at its head, as it had a slot before."""
        line = self._lines.setdefault(turn.sender, [])
        line.insert(0 if first else len(line), turn)

    def remove(self, turn: Turn[Slot]) -> None:
        """Take *turn* out, if it still waits."""
        line = self._lines.get(turn.sender, [])
        if turn in line:
            line.remove(turn)
        if not line:
            self._lines.pop(turn.sender, None)

    def take(self, fits: Callable[[Turn[Slot]], bool]) -> Turn[Slot] | None:
        """Take out the next turn that *fits*; its sender's next one comes after all other senders'."""
        for sender, line in self._lines.items():
            turn = next((turn for turn in line if fits(turn)), None)
            if turn is not None:
                self._lines.move_to_end(sender)
                self.remove(turn)
                return turn
        return None
