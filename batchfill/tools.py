"""What the command line offers besides batches: manifests to begin with, and the local emulator."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from batchfill.errors import UsageError
from batchfill.settings.value_types import FLUX_FILL_DEV

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import TextIO

    from batchfill.domain.pairs import Pairing


def init_manifest(path: Path) -> None:
    """Write a commented manifest to *path*. Raises UsageError when there is something already."""
    from batchfill.catalog.builtin import find_model, unchecked_model
    from batchfill.manifest.template import write_template

    write_template(path, find_model(FLUX_FILL_DEV) or unchecked_model(FLUX_FILL_DEV))


SAMPLES = (Path(__file__).parent / "samples", Path(__file__).parent.parent / "jobs")
"""Where the sample batches lie: in a wheel, in a checkout."""
_FIRST = "demo.csv"
"""The manifest of the first one, copied last: where it is, the others are."""
_NAMED = ("masks", "photographs")
"""Folders that it names. Without them, a file of its name is a manifest of the user's own."""


def lay_out_samples(folder: Path) -> Path:
    """Copy the sample batches to *folder*, and return the manifest of the first; what is there is left.

    Raises UsageError when *folder* holds something else, or takes no files.
    """
    manifest = folder / _FIRST
    if manifest.is_file() and all((folder / name).is_dir() for name in _NAMED):
        return manifest
    # A link that leads nowhere is there, too.
    if os.path.lexists(folder) and not (folder.is_dir() and not any(folder.iterdir())):
        raise UsageError(f"{folder} is there already, and holds no samples: name a new folder")
    samples = next(path for path in SAMPLES if path.is_dir())
    try:
        _copy_samples(samples, folder)
    except OSError as error:
        raise UsageError(
            f"{folder} takes no samples: {error.strerror}; make room there, or name another folder"
        ) from None
    return manifest


def _copy_samples(samples: Path, folder: Path) -> None:
    """Copy all files of *samples* to *folder*, or none: the next call would take a part for the whole."""
    made: list[Path] = []
    folder.mkdir(parents=True, exist_ok=True)
    try:
        for source in sorted(_sample_files(samples), key=lambda file: file.name == _FIRST):
            target = folder / source.relative_to(samples)
            target.parent.mkdir(exist_ok=True)
            made.append(target)
            # Without its rights: an installed file may be for reading only.
            shutil.copyfile(source, target)
    except BaseException:
        for target in made:
            target.unlink(missing_ok=True)
        for below in {target.parent for target in made} - {folder}:
            below.rmdir()
        raise


def _sample_files(samples: Path) -> Iterator[Path]:
    for entry in samples.iterdir():
        if entry.is_file():
            yield entry
        elif entry.suffix != ".batch":
            yield from (file for file in entry.iterdir() if file.is_file())


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
    """Run the local emulator by itself, until cancelled; *on_end* is told what it did in a line.

    *options* are those of `serve_emulator`.
    """
    from batchfill.emulator.emulator_server import serve_emulator

    await serve_emulator(folder, on_ready=on_ready, on_end=on_end, **options)


async def serve_containers(
    folder: Path, *, at: Sequence[str], at_file: Path | None, tell: Callable[[str], None], **options: Any
) -> None:
    """Run the same API before a pool of Cog containers, until cancelled.

    The containers are *at* addresses, and those in *at_file*. *tell* is given each line about them.
    *options* are those of `serve_provider`. Raises UsageError.
    """
    from batchfill.emulator.backends.cog_backend import CogBackend
    from batchfill.emulator.backends.pool_addresses import PoolAddresses

    addresses = PoolAddresses(at, at_file)
    await serve_provider(
        folder, behind=lambda *parts: CogBackend(addresses, *parts, tell=tell), account="own", **options
    )
