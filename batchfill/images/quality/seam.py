"""A step along the border of the mask that neither the picture nor the fill explains."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from batchfill.images.quality.thresholds import LIMITS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Bytes = NDArray[np.uint8]
    Floats = NDArray[np.float32]
    Truths = NDArray[np.bool_]

REACH = 6
"""Pixels on both sides of the border that are looked at."""
STRETCH = 4
"""Pixels of the border that are averaged: texture averages out, a step does not."""
FEWEST = 32
"""Pixels of the border below which nothing is judged: a few dots have no border to speak of."""


def has_seam(after: Bytes, before: Bytes, filled: Truths) -> bool:
    """Whether there is a step along the border of *filled* in *after* that is not content on either side.

    A step counts where it is larger than the steps next to it, and than the one that *before* has there.
    """
    borders = [
        (after, before, _Border.of(filled)),
        (after.swapaxes(0, 1), before.swapaxes(0, 1), _Border.of(filled.T)),
    ]
    length = sum(border.rows.size for _, _, border in borders)
    if length < FEWEST:
        return False
    return sum(_count_steps(*each) for each in borders) > LIMITS.along * length


@dataclass(frozen=True, slots=True)
class _Border:
    """Where the rows of a picture cross the border of its mask."""

    rows: NDArray[np.intp]
    columns: NDArray[np.intp]
    """The last pixel outside."""
    inward: NDArray[np.intp]
    """1 where the mask lies to the right of it, else -1."""
    stretch: NDArray[np.intp]
    """Which stretch of the border each crossing belongs to, numbered from 0."""

    @classmethod
    def of(cls, filled: Truths) -> _Border:
        rows, columns = np.nonzero(filled[:, 1:] != filled[:, :-1])
        near = (columns >= REACH) & (columns < filled.shape[1] - REACH - 1)
        rows, columns = rows[near], columns[near]
        rightwards = filled[rows, columns + 1]
        columns, inward = np.where(rightwards, columns, columns + 1), np.where(rightwards, 1, -1)
        squares = (rows // STRETCH) * filled.shape[1] + columns // STRETCH
        stretch = np.unique(2 * squares + rightwards, return_inverse=True)[1]
        return cls(rows, columns, inward, stretch)

    def step_across(self, pixels: Bytes, nearer: int, farther: int) -> Floats:
        """Return for each stretch by how many levels *pixels* differ between two depths inside the mask."""
        one, other = (
            pixels[self.rows, self.columns + depth * self.inward].astype(np.float32)
            for depth in (nearer, farther)
        )
        sums = [np.bincount(self.stretch, (other - one)[:, channel]) for channel in range(3)]
        return np.asarray(np.abs(sums).max(axis=0) / self.lengths, np.float32)

    @property
    def lengths(self) -> NDArray[np.intp]:
        """How many crossings each stretch has."""
        return np.bincount(self.stretch)


def _count_steps(after: Bytes, before: Bytes, border: _Border) -> int:
    """Return how many crossings of *border* have a sharp step."""
    if not border.rows.size:
        return 0
    # Over three pixels, since compression takes a step apart; depth 0 is the last pixel outside.
    across = border.step_across(after, -1, 2)
    nearby = np.maximum(border.step_across(after, 3, 6), border.step_across(after, -5, -2))
    new = across - border.step_across(before, -1, 2)
    sharp = (across > LIMITS.sharp * nearby) & (np.minimum(across, new) > LIMITS.step)
    return int(border.lengths[sharp].sum())
