"""A whole file on its way to its place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from batchfill.domain.predictions import Output, Picture
    from batchfill.storage.made_files import MadeFile
    from batchfill.storage.staged_file import StagedFile


@dataclass(frozen=True, slots=True)
class Downloaded:
    """A file that was fetched or made, kept and decoded; not in its place yet."""

    output: Output
    written: StagedFile | MadeFile
    """Flushed to disk here, or in the bucket of --outputs."""
    picture: Picture
