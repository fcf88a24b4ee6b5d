"""How what lies outside the mask has drifted: other colours, another place, other content."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from batchfill.images.quality.thresholds import LIMITS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]
    Truths = NDArray[np.bool_]

CELL = 4
"""Pixels to the side of what is compared here: re-encoding is averaged away, a shift by two pixels is not."""

_GREY = np.array((0.299, 0.587, 0.114), np.float32)


def has_drift(after: Floats, before: Floats, outside: Truths) -> bool:
    """Whether *after* (height, width, 3; cells) is not *before*, re-encoded, where it is *outside*."""
    if np.count_nonzero(outside) < LIMITS.enough:
        return False
    return (
        share_replaced(after, before, outside) > LIMITS.others
        or color_shift(after, before, outside) > LIMITS.shift
        or pixels_moved(after, before, outside) > LIMITS.moved
    )


def share_replaced(after: Floats, before: Floats, outside: Truths) -> float:
    """Return the share of cells that are others."""
    return float((np.abs(after - before).max(axis=-1)[outside] > LIMITS.other).mean())


def color_shift(after: Floats, before: Floats, outside: Truths) -> float:
    """Return by how many levels colours are shifted, as far as the colour itself tells how.

    Brightness, contrast, saturation, a tint and, nearly, gamma change every pixel by a linear function of its
    three channels. Re-encoding does not depend on them, and averages out.
    """
    was = before[outside]
    causes = np.column_stack([np.ones(len(was), np.float32), was / 128 - 1])
    return _root_mean_square(causes @ _fit_causes(causes, after[outside] - was))


def pixels_moved(after: Floats, before: Floats, outside: Truths) -> float:
    """Return how many pixels of the output the picture has moved by, grown, turned or been stretched.

    A small move changes each cell by its slope times the way, which is a linear function of the place. Moves
    of many pixels are told too small, but are told.
    """
    now, was = after @ _GREY, before @ _GREY
    down, across = (np.gradient((now + was) / 2, axis=axis) for axis in (0, 1))
    y, x = (axis[outside] for axis in _cell_places(outside.shape))
    across, down = across[outside], down[outside]
    even = np.ones_like(x)
    causes = np.column_stack(
        [across, across * x, across * y, down, down * x, down * y, even, was[outside] / 128 - 1]
    )
    found: NDArray[Any] = _fit_causes(causes, (now - was)[outside])
    place = np.column_stack([even, x, y])
    return CELL * float(np.hypot(_root_mean_square(place @ found[:3]), _root_mean_square(place @ found[3:6])))


def _cell_places(shape: tuple[int, ...]) -> tuple[Floats, Floats]:
    """Return for each cell how far down and across it is from the middle, at most 1."""
    height, width = shape
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    most = max(height, width) / 2
    return (y - height / 2) / most, (x - width / 2) / most


def _fit_causes(causes: NDArray[Any], effects: NDArray[Any]) -> NDArray[Any]:
    """Return what *causes* (n, k) are to be multiplied by to come nearest to *effects*."""
    # Many rows, few columns: the small squares are solved in a hundredth of the time.
    squares, mixed = causes.T @ causes, causes.T @ effects
    return np.asarray(np.linalg.lstsq(squares, mixed, rcond=1e-6)[0])


def _root_mean_square(values: NDArray[Any]) -> float:
    return float(np.sqrt(np.mean(np.square(values))))
