"""Where what looks wrong with an output begins: every number that flags go by, and why it is that one."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Levels are of 0 … 255. Cells are squares of pixels of the output, each taken as its mean.

    The figures are of all but a few of the outputs that `python -m tests.bench.calibration` makes, good and
    spoilt, where WebP and JPEG go down to quality 60; those few are what it counts as missed or false.
    """

    flat: float = 2.0
    """Deviation in levels of cells of 4 pixels below which a picture is one colour; a decoder's grain on
    one colour comes to 0.5, the plainest photograph to 20."""

    margin: int = 2
    """Cells of 4 pixels around the mask that are not judged: the model blends there."""
    enough: int = 256
    """Cells of 4 pixels outside the mask below which drift is not judged: too few to average noise away."""

    shift: float = 1.0
    """Levels by which colours outside are shifted together: re-encoding comes to 0.85 at most, a brightness
    4 % off to 2 and more; below, a viewer does not see it."""
    moved: float = 0.5
    """Pixels by which what is outside has moved: re-encoding comes to 0.15, a shift of two pixels to 1.5."""
    other: float = 16.0
    """Levels by which a cell of 4 pixels outside is another one: twice what re-encoding does to an edge."""
    others: float = 0.02
    """Share of such cells: re-encoding comes to 0.003, another crop to 0.2."""

    faint: float = 0.5
    """Levels that cells of 8 pixels differ by for no reason at all: rounding, twice."""
    busy: float = 0.2
    """Share of the steps between neighbouring cells that re-encoding may add where there is much detail."""
    noise: float = 2.5
    """Levels of difference outside that still count as re-encoding; beyond, it is drift."""
    unseen: float = 1.0
    """The same where nothing is outside to see it: what quality 75 comes to."""
    unchanged: float = 0.6
    """Difference inside over what re-encoding explains: what was sent comes to 0.55 at most, fills to 0.67
    where they are as dark as what they hide, elsewhere to 1.3 and more."""
    duplicate: float = 0.5
    """The same between two outputs: one output in two qualities comes to 0.45, two seeds of the faintest
    fill to 0.53, of others to 0.7 and more."""
    patch: float = 6.0
    """Levels by which one cell of 8 pixels may differ in duplicates, where the mask is not known: two
    qualities of one output come to 5.7."""

    step: float = 10.0
    """Levels of a step across the border below which it is not seen, or what the original had there."""
    sharp: float = 1.5
    """Times that it is as large as the steps next to it on both sides, which are content."""
    along: float = 0.2
    """Share of the border with such steps: good fills come to 0.19, a patch 20 levels off to 0.25."""


LIMITS = Thresholds()
