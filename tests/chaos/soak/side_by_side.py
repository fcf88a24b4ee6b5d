"""Batches that a part of the soak goes through side by side, and their sum."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from tests.chaos.soak.table import Line

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence
    from pathlib import Path

Made = TypeVar("Made")


class Lived(Protocol):
    """One batch, after all that happened to it."""

    folder: Path
    found: Counter[str]
    """What happened, by its name in the table."""
    broken: list[str]
    """Every promise that was broken, in words."""


One = TypeVar("One", bound=Lived)


def live_all(live: Callable[[int], Coroutine[Any, Any, Made]], number: int, *, at_once: int) -> list[Made]:
    """Return what *live* makes of each of 0, 1 … up to *number*, with *at_once* of them at the same time."""

    async def side_by_side() -> list[Made]:
        room = asyncio.Semaphore(at_once)

        async def one(which: int) -> Made:
            async with room:
                return await live(which)

        return await asyncio.gather(*map(one, range(number)))

    return asyncio.run(side_by_side())


def share_out(
    live: Callable[[Path, int, str], Coroutine[Any, Any, One]],
    seed: int,
    folder: Path,
    *,
    deeds: int,
    each: int,
    at_once: int,
) -> list[One]:
    """Share *deeds* out among batches with *each*, which *live* goes through in a folder and with a seed."""
    shares = [min(each, deeds - before) for before in range(0, deeds, each)]
    return live_all(
        lambda number: live(folder / str(number), shares[number], f"{seed} {number}"),
        len(shares),
        at_once=at_once,
    )


def sum_up(name: str, batches: Sequence[Lived], headings: Sequence[str]) -> Line:
    """Return the line *name* of a table, with what was found in all of *batches* under *headings*."""
    found = sum((batch.found for batch in batches), Counter[str]())
    broken = tuple(f"{batch.folder}: {text}" for batch in batches for text in batch.broken)
    return Line(name, {heading: found[heading] for heading in headings}, broken)
