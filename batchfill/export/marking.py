"""Copies of pictures that say of themselves that AI made or edited them."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

from batchfill.domain.rows import Mark
from batchfill.images.rights.mark import mark_content
from batchfill.images.rights.xmp import COMPOSITE, SYNTHETIC, Told
from batchfill.regular_files import open_regular

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from batchfill.domain.rows import StoredFile

    Change = Callable[[bytes], bytes]
    """Makes of a file's content that of its copy."""

_SOURCE_TYPES = {Mark.EDITED: COMPOSITE, Mark.MADE: SYNTHETIC}


def mark_of(placed: StoredFile, model: str) -> Change | None:
    """Return what marks a copy of *placed*, which *model* made; None: it is copied as it is."""
    if placed.mark is None:
        return None
    told = Told(_SOURCE_TYPES[placed.mark], model if placed.names_model else "")
    return lambda content: mark_content(content, told)


def digest_of_copy(source: Path, change: Change) -> str:
    """Return the SHA-256 of a copy of *source*. Raises OSError."""
    with open_regular(source) as file:
        return sha256(change(file.read())).hexdigest()
