"""What two folders of pictures and masks come to."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


class LeftOut(NamedTuple):
    """A file or a folder that no row can name."""

    path: Path
    reason: str
    """For a person: what it is, and what to do where something can be done."""


@dataclass(frozen=True, slots=True)
class Pairing:
    """Every file of two folders, each in one place here; everything in the order of names."""

    pairs: tuple[tuple[Path, Path], ...]
    """Picture and mask."""
    alone_images: tuple[Path, ...] = ()
    alone_masks: tuple[Path, ...] = ()
    ambiguous: tuple[tuple[Path, ...], ...] = ()
    """Files that share a name, so that nothing tells which mask is whose."""
    left_out: tuple[LeftOut, ...] = ()
    elsewhere: Mapping[Path, Path] = field(default_factory=dict)
    """For files that are alone: what has the right name, but lies in another folder below."""
    outside: int = 0
    """Pairs with a file that the manifest may name with --allow-outside only."""
