"""The pages that decide: what one of them sends is noted once and in its order, however often it comes."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import anyio

from batchfill.domain.review import ReviewDecision

if TYPE_CHECKING:
    from batchfill.review.decisions import Message
    from batchfill.review.source import ReviewSource


@dataclass(slots=True)
class _Page:
    """What is known of one page that is open, or was."""

    last: int = 0
    """The number of its last decision that is on disk, or refused."""
    refused: dict[int, str] = field(default_factory=dict)
    """Why, by number; kept until the page has heard of it."""


class Pages:
    """Every page that this server was asked for, by a name that it gave to it."""

    def __init__(self, source: ReviewSource) -> None:
        self._source = source
        self._pages: dict[str, _Page] = {}
        self._in_order = anyio.Lock()

    def name(self, known: str) -> str:
        """Return *known* where it names a page of this server, else the name of a new one."""
        if self.knows(known):
            return known
        name = secrets.token_urlsafe(12)
        self._pages[name] = _Page()
        return name

    def knows(self, name: str) -> bool:
        """Whether it names a page of this server."""
        return name in self._pages

    def noted(self) -> dict[str, int]:
        """Return the number of each page's last decision that is on disk."""
        return {name: page.last for name, page in self._pages.items() if page.last}

    async def take(self, message: Message) -> dict[int, str]:
        """Return once the decisions of a page of ours are on disk, but for those refused: by number, why.

        Raises UsageError when the disk takes none.
        """
        page = self._pages[message.page]
        async with self._in_order:
            # Up to its first number the page has heard the answers.
            page.refused = {n: why for n, why in page.refused.items() if n >= message.first}
            new = [(n, one) for n, one in enumerate(message.rulings, message.first) if n > page.last]
            page.refused |= await self._decide(new)
            page.last = max(page.last, message.last)
            return {n: why for n, why in page.refused.items() if n <= message.last}

    async def finish(self) -> None:
        """Return once everything that was sent so far is on disk."""
        async with self._in_order:
            pass

    async def _decide(self, numbered: list[tuple[int, ReviewDecision | str]]) -> dict[int, str]:
        refused = {n: one for n, one in numbered if isinstance(one, str)}
        rulings = [(n, one) for n, one in numbered if isinstance(one, ReviewDecision)]
        if rulings:
            by_place = await self._source.decide([ruling for _, ruling in rulings])
            refused |= {rulings[place][0]: why for place, why in by_place.items()}
        return refused
