"""What pages send again, and what becomes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
from hypothesis import given
from hypothesis import strategies as st

from batchfill.domain.review import Decision, ReviewDecision
from batchfill.errors import UsageError
from batchfill.review.decisions import Message
from batchfill.review.pages import Pages

if TYPE_CHECKING:
    from collections.abc import Sequence


class Shaky:
    """A disk that takes decisions, or does not, as it is told."""

    def __init__(self, works: list[bool]) -> None:
        self._works = works
        self.taken: list[int] = []

    async def decide(self, rulings: Sequence[ReviewDecision]) -> dict[int, str]:
        if self._works and not self._works.pop(0):
            raise UsageError("full")
        self.taken += [ruling.chosen or 0 for ruling in rulings]
        return {}


def numbered(first: int, last: int) -> tuple[ReviewDecision, ...]:
    """Return decisions that are known by what they choose."""
    return tuple(
        ReviewDecision(prediction_id="p", decision=Decision.APPROVED, chosen=n, at=1.0)
        for n in range(first, last + 1)
    )


@given(
    sends=st.lists(st.tuples(st.integers(0, 5), st.integers(1, 6)), max_size=12),
    works=st.lists(st.booleans(), max_size=12),
)
def test_however_often_a_page_sends_what_it_has_no_answer_for_each_is_taken_once_in_order(
    sends: list[tuple[int, int]], works: list[bool]
) -> None:
    """Each send: how many of those before it come again, their answer being lost, and how many come."""
    disk = Shaky(works)
    pages = Pages(disk)  # type: ignore[arg-type]
    name = pages.name("")

    async def play() -> int:
        reached = 0
        for back, length in sends:
            first = max(1, reached + 1 - back)
            try:
                await pages.take(Message(name, first, numbered(first, first + length - 1)))
            except UsageError:
                continue
            reached = max(reached, first + length - 1)
        return reached

    reached = anyio.run(play)
    assert disk.taken == list(range(1, reached + 1))
    assert pages.noted() == ({name: reached} if reached else {})
