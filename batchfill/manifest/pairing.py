"""Two folders become a manifest: each picture with the mask of the same name."""

from __future__ import annotations

import csv
import os
import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from batchfill.errors import UsageError
from batchfill.filenames import FORMULA, fold_case, stem_of

if TYPE_CHECKING:
    from collections.abc import Iterable

_SUFFIXES = frozenset(
    {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".avif", ".heic", ".jp2", ".tga"}
)
_MASK = re.compile(r"(?:masks?[ ._-]+)(?P<behind>.+)|(?P<before>.+)[ ._-]+(?:masks?|matte|m)", re.DOTALL)
HEADER = ("id", "image", "mask", "prompt")


@dataclass(frozen=True, slots=True)
class Pairing:
    """What was found in two folders; everything in the order of names."""

    pairs: tuple[tuple[Path, Path], ...]
    """Picture and mask."""
    alone_images: tuple[Path, ...]
    alone_masks: tuple[Path, ...]
    ambiguous: tuple[tuple[Path, ...], ...]
    """Files that share a name, so that nobody can tell which mask is whose."""


def pair_folders(images: Path, masks: Path) -> Pairing:
    """Match the pictures of two folders, which may be one, by stem, whatever case and extension.

    A mask may also carry `_mask`, `-mask`, `.mask`, `_m` behind its name or `mask_` before it. In one and
    the same folder only such files are masks. Raises UsageError when a folder cannot be read.
    """
    pictures = _by_stem(_list_pictures(images))
    if images.resolve() == masks.resolve():
        mask_stems = {stem for stem in pictures if _picture_stem(stem) in pictures}
        found = {stem: pictures.pop(stem) for stem in mask_stems}
    else:
        found = _by_stem(_list_pictures(masks))
    groups: defaultdict[str, list[Path]] = defaultdict(list)
    for stem, files in found.items():
        groups[stem if stem in pictures else _picture_stem(stem) or stem] += files
    return _sorted_out(pictures, groups)


def write_pairs(
    pairing: Pairing, target: Path | TextIO, *, prompt: str = "", folder: Path | None = None
) -> None:
    """Write the pairs as a CSV manifest with the columns id, image, mask and prompt.

    Paths are relative to the *target*'s folder (for an open file: to *folder*, or the current one), with
    forward slashes. Raises UsageError when *target* exists already or cannot be written.
    """
    if not isinstance(target, Path):
        _write_rows(pairing, target, prompt, folder or Path())
        return
    try:
        # Excel takes a CSV without a BOM for the local encoding and garbles names.
        with target.open("x", encoding="utf-8-sig", newline="") as file:
            _write_rows(pairing, file, prompt, target.parent)
    except FileExistsError:
        raise UsageError(f"{target} is there already: name another file, or move it away") from None
    except OSError as error:
        raise UsageError(f"{target}: cannot be written: {error.strerror}") from error


def _write_rows(pairing: Pairing, file: TextIO, prompt: str, folder: Path) -> None:
    table = csv.writer(file, lineterminator="\n")
    table.writerow(HEADER)
    given: set[str] = set()
    for image, mask in pairing.pairs:
        name = stem_of(image.name)
        # Two names that become the same id: the second is left to be made from its content.
        table.writerow(
            (
                "" if fold_case(name) in given else name,
                _relative_path(image, folder),
                _relative_path(mask, folder),
                prompt,
            )
        )
        given.add(fold_case(name))


def _relative_path(path: Path, folder: Path) -> str:
    try:
        relative = Path(os.path.relpath(path.resolve(), folder.resolve())).as_posix()
        # A spreadsheet is to take no file's name for a formula, and the path is to stay one.
        return f"./{relative}" if relative.startswith(FORMULA) else relative
    except ValueError:
        # On another drive there is no relative path.
        return path.resolve().as_posix()


def _list_pictures(folder: Path) -> list[Path]:
    try:
        return sorted(
            path
            for path in folder.iterdir()
            if path.suffix.lower() in _SUFFIXES and not path.name.startswith(".") and path.is_file()
        )
    except NotADirectoryError:
        raise UsageError(f"{folder} is not a folder") from None
    except OSError as error:
        raise UsageError(f"{folder}: cannot be read: {error.strerror}") from error


def _by_stem(files: Iterable[Path]) -> dict[str, list[Path]]:
    stems: defaultdict[str, list[Path]] = defaultdict(list)
    for file in files:
        stems[fold_case(file.stem)].append(file)
    return dict(stems)


def _picture_stem(stem: str) -> str | None:
    """Return the stem of the picture that a mask of this *stem* belongs to; None when it says nothing."""
    match = _MASK.fullmatch(stem)
    return (match["behind"] or match["before"]) if match else None


def _sorted_out(pictures: dict[str, list[Path]], masks: dict[str, list[Path]]) -> Pairing:
    both = sorted(pictures.keys() & masks.keys())
    clear = [stem for stem in both if len(pictures[stem]) == len(masks[stem]) == 1]
    return Pairing(
        pairs=tuple((pictures[stem][0], masks[stem][0]) for stem in clear),
        alone_images=_left_alone(pictures, both),
        alone_masks=_left_alone(masks, both),
        ambiguous=tuple((*pictures[stem], *masks[stem]) for stem in both if stem not in clear),
    )


def _left_alone(files: dict[str, list[Path]], paired: list[str]) -> tuple[Path, ...]:
    return tuple(file for stem in sorted(files.keys() - set(paired)) for file in files[stem])
