"""What the command line offers besides batches: manifests to begin with, and the local emulator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from batchfill.errors import UsageError
from batchfill.settings.value_types import FLUX_FILL_DEV

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import TextIO

    from batchfill.manifest.pairing import Pairing


def init_manifest(path: Path) -> None:
    """Write a commented manifest to *path*. Raises UsageError when there is something already."""
    from batchfill.catalog.builtin import find_model, unchecked_model
    from batchfill.manifest.template import write_template

    write_template(path, find_model(FLUX_FILL_DEV) or unchecked_model(FLUX_FILL_DEV))


def pair_folders(images: Path, masks: Path, target: Path | TextIO, *, prompt: str = "") -> Pairing:
    """Make a CSV manifest of two folders, matched by stem; return what matched and what stayed alone.

    Raises UsageError when a folder cannot be read, nothing matches, or *target* exists already.
    """
    from batchfill.manifest import pairing as pairs

    pairing = pairs.pair_folders(images, masks)
    if not pairing.pairs:
        raise UsageError(f"nothing to pair: no picture in {images} has a mask of its name in {masks}")
    pairs.write_pairs(pairing, target, prompt=prompt)
    return pairing


async def serve_provider(
    folder: Path, *, on_ready: Callable[[str], None], on_end: Callable[[str], None], **options: Any
) -> None:
    """Run the local emulator by itself, until cancelled; *on_end* is told its bill in a line.

    *options* are those of `local.serve.serve`.
    """
    from batchfill.emulator.emulator_server import serve_emulator

    await serve_emulator(folder, on_ready=on_ready, on_end=lambda bill: on_end(str(bill)), **options)
