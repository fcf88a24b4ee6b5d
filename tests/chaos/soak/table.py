"""What a part of the soak found, as lines of a table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a part's table; the lines of one part have the same figures."""

    name: str
    figures: Mapping[str, str | int]
    """By the heading that they stand under."""
    broken: tuple[str, ...] = ()
    """Every promise that was broken, in words."""


def table(title: str, lines: Sequence[Line]) -> Iterator[str]:
    """Yield *lines* under their headings, every column as wide as it has to be."""
    cells = [[title, *lines[0].figures]]
    cells += [[line.name, *(_shown(figure) for figure in line.figures.values())] for line in lines]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for name, *figures in cells:
        right = (f"{figure:>{width}}" for figure, width in zip(figures, widths[1:], strict=True))
        yield "  ".join([f"{name:<{widths[0]}}", *right])


def _shown(figure: str | int) -> str:
    return figure if isinstance(figure, str) else f"{figure:,}"
