"""What the command line offers besides batches: manifests to begin with, and the local emulator."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from batchfill.errors import UsageError
from batchfill.settings.value_types import FLUX_FILL_DEV

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TextIO

    from batchfill.domain.pairs import Pairing


def init_manifest(path: Path) -> None:
    """Write a commented manifest to *path*. Raises UsageError when there is something already."""
    from batchfill.catalog.builtin import find_model, unchecked_model
    from batchfill.manifest.template import write_template

    write_template(path, find_model(FLUX_FILL_DEV) or unchecked_model(FLUX_FILL_DEV))


def pair_folders(
    images: Path,
    masks: Path,
    target: Path | TextIO,
    *,
    prompt: str = "",
    tell: Callable[[Pairing], object] = lambda found: None,
) -> Pairing:
    """Make a CSV manifest of two folders, matched by name; return what matched, and every other file.

    Where *masks* is a file, it is the mask of every picture. *tell* is given the same before anything is
    written, and when nothing matches. Raises UsageError when a folder cannot be read, nothing matches, or
    *target* exists already.
    """
    from batchfill.manifest import pairing as pairs

    folder = target.parent if isinstance(target, Path) else Path()
    found = pairs.pair_folders(images, masks)
    found = replace(found, outside=pairs.count_outside(found, folder))
    tell(found)
    if not found.pairs:
        raise UsageError(pairs.explain_nothing(found, images, masks))
    pairs.write_pairs(found, target, prompt=prompt)
    return found


async def serve_provider(
    folder: Path, *, on_ready: Callable[[str], None], on_end: Callable[[str], None], **options: Any
) -> None:
    """Run the local emulator by itself, until cancelled; *on_end* is told its bill in a line.

    *options* are those of `local.serve.serve`.
    """
    from batchfill.emulator.emulator_server import serve_emulator

    await serve_emulator(folder, on_ready=on_ready, on_end=lambda bill: on_end(str(bill)), **options)
