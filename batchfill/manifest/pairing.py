"""Two folders become a manifest: each picture with the mask of the same name."""

from __future__ import annotations

import csv
import os
import re
from collections import defaultdict
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from batchfill.domain.pairs import LeftOut, Pairing
from batchfill.errors import UsageError, did_you_mean
from batchfill.filenames import FORMULA, fold_case, stem_of
from batchfill.manifest.local_addresses import LocalAddresses, reach_of
from batchfill.manifest.picture_names import (
    bare_names,
    names_masks,
    names_of_picture,
    names_role,
    why_not_sent,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

HEADER = ("id", "image", "mask", "prompt")

_Key = tuple[str, str]
"""The folder below the one that was named, and a name in it; both folded."""

_OWN_FOLDERS = {".batch": "a batch folder", ".report": "a report"}
"""What batchfill makes itself, by how the names end: pictures in there are no new ones."""

_BARE = "/"
"""Begins a folder that was left without the words for pictures and masks: it is none of the others."""

_MISREAD = re.compile(r"\s|[A-Za-z][A-Za-z0-9+.-]*:")
"""How a path begins of which a manifest's cell would make another, or a scheme."""


def pair_folders(images: Path, masks: Path) -> Pairing:
    """Match the pictures of two folders, which may be one, by stem, whatever case and extension.

    Folders below are matched by their own names, else without `images`, `masks` and the like in them. A mask
    may also say whose it is, as `_mask` behind its name does, or `mask_` before it. In one and the same
    folder only such files are masks, and those in a folder below that is called so. Where *masks* is a file,
    it is the mask of every picture. Raises UsageError when a folder cannot be read.
    """
    if masks.is_file():
        return _share_mask(images, masks)
    if images.resolve() == masks.resolve():
        listed, taken = _list_folder(images), _Listing()
        known = _Pictures(images, listed.pictures)
        inside = {path for path in listed.pictures if _lies_with_masks(path, images)}
        others = _Pictures(images, [path for path in listed.pictures if path not in inside])
        found = {
            path: known.of_mask(path, images, says_so=True)
            or (path in inside and others.of_mask(path, images, says_so=False))
            for path in listed.pictures
        }
        known = _Pictures(images, [path for path in listed.pictures if not found[path]])
        claims = {
            mask: known.of_mask(mask, images, says_so=mask not in inside) for mask, of in found.items() if of
        }
    else:
        listed, taken = _list_folder(images, but=masks), _list_folder(masks, but=images)
        known = _Pictures(images, listed.pictures)
        claims = {mask: known.of_mask(mask, masks, says_so=False) for mask in taken.pictures}
    left_out = (*listed.left_out, *taken.left_out)
    return replace(_sort_out(known.paths, claims), left_out=left_out)


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


def explain_nothing(pairing: Pairing, images: Path, masks: Path) -> str:
    """Return why there are no pairs, and what may help."""
    if masks.is_file() or not pairing.alone_images:
        return f"nothing to pair: there is no picture in {images}"
    if len(pairing.alone_masks) == 1 and pairing.alone_images:
        advice = f"; to give {pairing.alone_masks[0]} to all of them, name it instead of the folder"
    else:
        advice = ""
    return f"nothing to pair: no picture in {images} has a mask of its name in {masks}{advice}"


def count_outside(pairing: Pairing, folder: Path) -> int:
    """Return how many pairs a manifest in *folder* may name with --allow-outside only."""
    addresses, reach = LocalAddresses(folder), reach_of(folder)

    def is_outside(path: Path) -> bool:
        place = addresses.locate(_relative_path(path, folder))
        return reach.objection(place) is not None or addresses.is_hidden(place)

    return sum(any(map(is_outside, pair)) for pair in pairing.pairs)


def _write_rows(pairing: Pairing, file: TextIO, prompt: str, folder: Path) -> None:
    table = csv.writer(file, lineterminator="\n")
    table.writerow(HEADER)
    given: set[str] = set()
    top = Path(os.path.commonpath([image.parent for image, _ in pairing.pairs])) if pairing.pairs else Path()
    for image, mask in pairing.pairs:
        name = stem_of("-".join(image.relative_to(top).parts))
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
        return f"./{relative}" if relative.startswith(FORMULA) or _MISREAD.match(relative) else relative
    except ValueError:
        # On another drive there is no relative path.
        return path.resolve().as_posix()


@dataclass(slots=True)
class _Listing:
    """What is in a folder and below."""

    pictures: list[Path] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)


def _explain_folder(folder: Path, error: OSError) -> str:
    if not isinstance(error, FileNotFoundError):
        return f"{folder}: cannot be read: {error.strerror}"
    around = folder.parent
    names = [entry.name for entry in around.iterdir() if entry.is_dir()] if around.is_dir() else []
    return f"{folder}: no such folder{did_you_mean(folder.name, names)}"


def _list_folder(folder: Path, *, but: Path | None = None) -> _Listing:
    """List *folder*, without what is in the folder *but*. Raises UsageError when it cannot be read."""
    if not folder.is_dir() and folder.exists():
        raise UsageError(f"{folder} is not a folder")
    listing, passed = _Listing(), {but.resolve()} if but else set()

    def refuse(error: OSError) -> None:
        if Path(error.filename) == folder:
            raise UsageError(_explain_folder(folder, error)) from error
        listing.left_out.append(LeftOut(Path(error.filename), f"cannot be read: {error.strerror}"))

    for place, folders, names in os.walk(folder, onerror=refuse, followlinks=True):
        here = Path(place)
        passed.add(here.resolve())
        kept = []
        for name in sorted(folders):
            if reason := _why_not_entered(here / name):
                listing.left_out.append(LeftOut(here / name, reason))
            elif (here / name).resolve() not in passed:
                kept.append(name)
        folders[:] = kept
        for path in (here / name for name in sorted(names)):
            if reason := _why_not_named(path):
                listing.left_out.append(LeftOut(path, reason))
            else:
                listing.pictures.append(path)
    return listing


def _why_not_entered(folder: Path) -> str | None:
    if folder.name.startswith("."):
        return "a hidden folder"
    return next((what for end, what in _OWN_FOLDERS.items() if folder.name.endswith(end)), None)


def _why_not_named(path: Path) -> str | None:
    """Return why no row can name the file *path*; None when one can."""
    if path.name.startswith("."):
        return "hidden by a dot"
    try:
        path.name.encode()
    except UnicodeEncodeError:
        return "its name is not UTF-8: rename it"
    if not path.is_file():
        return "not a file, or a link that leads nowhere"
    return why_not_sent(path.suffix)


class _Pictures:
    """The pictures of a folder, by everything that they may be called."""

    def __init__(self, folder: Path, paths: Iterable[Path]) -> None:
        self.paths = tuple(paths)
        self._named: list[dict[_Key, list[Path]]] = []
        namings: tuple[Callable[[Path], Iterable[str]], ...] = (
            lambda path: [fold_case(path.stem)],
            lambda path: [fold_case(path.name)],
            lambda path: bare_names(path.stem),
        )
        for naming in namings:
            named: defaultdict[_Key, list[Path]] = defaultdict(list)
            for path in self.paths:
                for name in naming(path):
                    for below in _belows(path, folder):
                        named[below, name].append(path)
            self._named.append(named)

    def of_mask(self, mask: Path, folder: Path, *, says_so: bool) -> tuple[Path, ...]:
        """Return the pictures that *mask*, which lies below *folder*, may belong to."""
        for below in _belows(mask, folder):
            for name in names_of_picture(mask.stem, says_so=says_so):
                for named in self._named:
                    if found := [path for path in named.get((below, name), ()) if path != mask]:
                        return tuple(found)
        return ()


def _belows(path: Path, folder: Path) -> tuple[str, ...]:
    """Return the folder of *path* below *folder*, then the same without `images`, `masks` and the like."""
    parts = fold_case(path.parent.relative_to(folder).as_posix()).split("/")
    bare = [part for part in parts if part != "." and not names_role(part)]
    return tuple(dict.fromkeys(("/".join(parts), _BARE + "/".join(bare))))


def _lies_with_masks(path: Path, folder: Path) -> bool:
    return any(map(names_masks, fold_case(path.parent.relative_to(folder).as_posix()).split("/")))


def _share_mask(images: Path, mask: Path) -> Pairing:
    if (reason := _why_not_named(mask)) is not None:
        raise UsageError(f"{mask}: {reason}")
    listed = _list_folder(images)
    own = mask.resolve()
    pairs = tuple((path, mask) for path in sorted(listed.pictures) if path.resolve() != own)
    return Pairing(pairs, left_out=tuple(listed.left_out))


def _sort_out(pictures: Iterable[Path], claims: dict[Path, tuple[Path, ...]]) -> Pairing:
    """Make pairs where a mask claims one picture, and no other mask claims that one."""
    masks_of: defaultdict[Path, list[Path]] = defaultdict(list)
    for mask, claimed in claims.items():
        for picture in claimed:
            masks_of[picture].append(mask)
    clear = [
        (picture, masks[0]) for picture, masks in masks_of.items() if len(masks) == len(claims[masks[0]]) == 1
    ]
    settled = {mask for _, mask in clear}
    alone_images = sorted(picture for picture in pictures if picture not in masks_of)
    alone_masks = sorted(mask for mask, claimed in claims.items() if not claimed)
    return Pairing(
        pairs=tuple(sorted(clear)),
        alone_images=tuple(alone_images),
        alone_masks=tuple(alone_masks),
        ambiguous=_group({mask: of for mask, of in claims.items() if of and mask not in settled}),
        elsewhere=dict(_find_elsewhere(alone_images, alone_masks)),
    )


def _group(claims: dict[Path, tuple[Path, ...]]) -> tuple[tuple[Path, ...], ...]:
    """Return the files that hang together by *claims*, pictures before masks."""
    groups: dict[Path, set[Path]] = {}
    for mask, claimed in claims.items():
        group = groups.setdefault(claimed[0], {claimed[0]})
        group.add(mask)
        for other in [groups.get(picture, {picture}) for picture in claimed[1:]]:
            if other is not group:
                group |= other
                groups.update(dict.fromkeys(other, group))
    distinct = {id(group): group for group in groups.values()}.values()
    return tuple(sorted(tuple(sorted(group, key=lambda path: (path in claims, path))) for group in distinct))


def _find_elsewhere(images: Iterable[Path], masks: Iterable[Path]) -> Iterator[tuple[Path, Path]]:
    """Yield files that are alone with what would be their partner in another folder."""
    named = {fold_case(image.stem): image for image in images}
    for mask in masks:
        found = next((named[n] for n in names_of_picture(mask.stem, says_so=False) if n in named), None)
        if found is not None:
            yield mask, found
            yield found, mask
