"""What is asked of a picture and its mask, and what is told of them; no decoder is loaded for that."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from batchfill.catalog.pixel_options import Pixels
from batchfill.domain.findings import Finding, Severity, Sizes

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from batchfill.catalog.sizes import SizeRule
    from batchfill.domain.drawn_masks import DrawnMask
    from batchfill.domain.rows import Input


@dataclass(frozen=True, slots=True)
class PictureSource:
    """One file to look at."""

    path: Path
    name: str
    """What messages call it."""
    fitted: bool = True
    """Whether it is turned and scaled before it is sent; else it is sent as it is."""
    remote: bool = False
    """Whether the service fetches it, and turns nothing."""


@dataclass(frozen=True, slots=True)
class InspectTask:
    """The picture and the mask of a row; either is None when it cannot be looked at."""

    picture: PictureSource | None
    mask: PictureSource | DrawnMask | None
    pixels: Pixels = field(default_factory=Pixels)
    rule: SizeRule | None = None
    """What the model does to sizes; None where it is not known."""
    inputs: Mapping[str, Input] = field(default_factory=dict)
    """The model's inputs, for the rule."""


@dataclass(frozen=True, slots=True)
class Inspection:
    """What became of a InspectTask."""

    findings: tuple[Finding, ...]
    scale: Sizes | None = None
    """None where the picture is not known."""
    cover: float | None = None
    """The share of the picture that is filled; None where no mask is known to be right."""

    @property
    def mistakes(self) -> list[Finding]:
        """The findings with which a row cannot be run."""
        return [finding for finding in self.findings if finding.severity is Severity.MISTAKE]
