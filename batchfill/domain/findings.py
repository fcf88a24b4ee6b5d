"""What is found in pictures and masks before anything is paid."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping


FLAGS = ("blank", "unchanged", "drift", "seam", "duplicate", "size")
"""The words for what may look wrong with a picture."""


class FindingKind(StrEnum):
    """What a finding about a picture or a mask is about, the worst first."""

    UNREADABLE = "unreadable"
    """No picture, damaged, or too large."""
    ANIMATED = "animated"
    """Several pictures or pages in one file."""
    EMPTY = "empty"
    """The mask fills nothing."""
    FULL = "full"
    """The mask fills everything."""
    ALPHA = "alpha"
    """Transparency that holds the mask's shape, or that is ignored."""
    SHAPE = "shape"
    """The mask has other proportions than its picture, once both are upright."""
    POLARITY = "polarity"
    """The mask fills so much that it may be meant the other way round."""
    SPECKS = "specks"
    """Next to nothing of the mask is left at the size at which the model works."""
    CLIPPED = "clipped"
    """A box or a polygon reaches beyond its picture."""
    GREY = "grey"
    """An area of the mask, or most of it, is neither black nor white."""
    STRIP = "strip"
    """The picture is many times as long as wide."""
    SEED = "seed"
    """A seed that is meant as none."""
    TURNED = "turned"
    """EXIF turns the file, and it is sent as it is."""
    SIZE = "size"
    """The mask has its picture's proportions and another size."""
    UNFETCHED = "unfetched"
    """It is at an address and could not be fetched."""
    MODE = "mode"
    """A palette, 16 bits, CMYK, floating point: the model sees something else than is stored."""
    SOFT = "soft"
    """The mask's edges fade over several pixels."""
    CREDENTIALS = "credentials"
    """Content Credentials, which a changed picture cannot keep."""
    DETAIL = "detail"
    """A large picture would keep its detail with `area: mask`."""
    CASE = "case"
    """The file was found by another case of the letters of its address."""


class Severity(StrEnum):
    """What a finding asks of a person."""

    MISTAKE = "mistake"
    """The row cannot be run like this."""
    WARNING = "warning"
    """It looks wrong: see to it before paying."""
    NOTE = "note"
    """It is right, and good to know."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something about a picture or a mask that is worth knowing before paying."""

    kind: FindingKind
    severity: Severity
    text: str
    """For a person; begins with the name of the file."""


@dataclass(frozen=True, slots=True)
class LocatedFinding:
    """A finding, and the rows that it is about."""

    finding: Finding
    line: int
    """Of the first such row."""
    id: str
    """Of that row as given, else what its id will begin with."""
    rows: int
    """How many rows share the files."""


class Sizes(NamedTuple):
    """The sizes of a picture on its way to the model, in pixels, upright."""

    picture: tuple[int, int]
    area: tuple[int, int] | None
    """Of the part around the mask that is sent; None: the whole picture is."""
    generated: tuple[int, int] | None
    """At which the model works; None where its rule is not known."""
    canvas: tuple[int, int] | None = None
    """Of what is sent of a picture that is enlarged; None: it is not."""


@dataclass(frozen=True, slots=True)
class SizesCount:
    """The rows that have one scale."""

    scale: Sizes
    rows: int
    first: tuple[tuple[str, float | None], ...]
    """Id, and the share of the picture that is filled where it is known, of the first few."""
    least: float | None
    """The smallest known share that is filled."""
    most: float | None


@dataclass(frozen=True, slots=True)
class PictureReport:
    """What looking at every picture and mask has brought to light."""

    found: tuple[LocatedFinding, ...] = ()
    """Warnings and notes (mistakes stand among the mistakes), the worst first."""
    left_out: int = 0
    """Warnings and notes beyond those, a row with two of them counted twice."""
    kinds: Mapping[FindingKind, int] = field(default_factory=dict)
    """How many rows have a finding of each kind, mistakes too; only kinds that any has, the worst first."""
    scales: tuple[SizesCount, ...] = ()
    """The most frequent first."""
    other_scales: int = 0
    """Rows whose scale is none of those."""
    remote: int = 0
    """Files at addresses that were not looked at."""
