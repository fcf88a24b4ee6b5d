"""What stands between pictures and their export, found before the first copy."""

from __future__ import annotations

import csv
import json
import os
from enum import IntEnum
from functools import lru_cache, partial
from typing import TYPE_CHECKING

from batchfill.domain.rows import NamedFile
from batchfill.export.marking import digest_of_copy, mark_of
from batchfill.export.results import COLUMNS, LATER, column_names
from batchfill.filenames import from_cell
from batchfill.storage.disk import free_bytes
from batchfill.storage.missing import FileState
from batchfill.storage.output_store import digest_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from batchfill.domain.objects import ObjectFile
    from batchfill.domain.reports import Result
    from batchfill.domain.rows import StoredFile
    from batchfill.export.name_template import ExportRow, TakenNames, Template
    from batchfill.storage.placed_files import PlacedFiles


class Action(IntEnum):
    """What is to be done with a picture."""

    COPY = 0
    THERE = 1
    """It stands in its place already."""
    CHANGED = 2
    """To be copied as it is now, whatever the ledger says."""
    CHANGED_THERE = 3


class OriginalsThere:
    """The pictures and masks of the batch that are in the folder of an export."""

    def __init__(self, files: Iterable[NamedFile | ObjectFile], target: Path) -> None:
        inside = f"{target.resolve()}{os.sep}"
        there = {file.path for file in files if isinstance(file, NamedFile) and file.path.startswith(inside)}
        # By their numbers: a file system may mind no case, and a link has another name.
        self._numbers = {number for path in there if (number := _number_of(path)) is not None}

    def __len__(self) -> int:
        return len(self._numbers)

    def __contains__(self, path: Path) -> bool:
        return bool(self._numbers) and _number_of(path) in self._numbers


def _number_of(path: str | Path) -> tuple[int, int] | None:
    try:
        facts = os.stat(path)  # noqa: PTH116 - of a text as well
    except OSError:
        return None
    return facts.st_dev, facts.st_ino


class ConflictScan:
    """Looks at every picture where it is and where it goes."""

    def __init__(
        self,
        folder: Path,
        files: PlacedFiles,
        target: Path,
        model: str,
        originals: OriginalsThere,
        *,
        changed: bool,
        force: bool,
    ) -> None:
        """*folder*: of the batch that *files* are of. *model*: what marks name. *originals*: what is never
        replaced. *changed*: pictures may have been worked on; *force*: what else is in the way is replaced.
        """
        self._originals = originals
        self._model = model
        self._files = files
        self._target = target
        self._changed = changed
        self._force = force
        self.steps = bytearray()
        """A Action for each picture, in order: as little as a million of them can do with."""
        self.to_copy = 0
        """Bytes."""
        self._folder_trouble = lru_cache(maxsize=4096)(partial(_folder_trouble, folder.resolve()))

    def find_troubles(self, rows: Iterable[ExportRow], template: Template) -> Iterator[str]:
        """Yield what is wrong with the pictures of *rows* or in their places."""
        for picked in rows:
            try:
                names = template.file_names(picked)
            except ValueError:
                continue  # told with the other names
            if not picked.files:
                yield _of_choice(picked.result)
            for placed, name in zip(picked.files, names, strict=True):
                yield from filter(None, self._look_at_file(placed, name))

    def shortage(self) -> Iterator[str]:
        """Yield how much room is missing for the copies, if any is."""
        free = free_bytes(next(p for p in (self._target, *self._target.parents) if p.exists()))
        if free is not None and free < self.to_copy:
            yield (
                f"the pictures need {self.to_copy / 1e6:,.0f} MB, and {free / 1e6:,.0f} MB are free on the "
                f"disk of {self._target}: make room, or try --link"
            )

    def _look_at_file(self, placed: StoredFile, name: str) -> Iterator[str | None]:
        fate = self._files.state(placed)
        changed = fate is FileState.CHANGED and self._changed
        if fate is not FileState.IN_PLACE and not changed:
            yield _of_source(placed, fate)
            return
        try:
            digest = self._digest_of(placed) if changed else placed.sha256
            there, trouble = self._look_at(self._target / name, name, lambda: self._ours(placed, digest))
        except OSError as error:
            yield f"{name}: {error.strerror}"
            return
        yield trouble
        self.steps.append((2 if changed else 0) + there)
        self.to_copy += 0 if there else placed.size

    def _ours(self, placed: StoredFile, digest: str) -> Iterator[str]:
        """Give the SHA-256 that a copy or a link of *placed*, whose own is *digest*, may have."""
        yield digest
        if (change := mark_of(placed, self._model)) is not None:
            with self._files.hold(placed) as path:
                yield digest_of_copy(path, change)

    def _digest_of(self, placed: StoredFile) -> str:
        with self._files.hold(placed) as path:
            return digest_of(path)

    def _look_at(
        self, target: Path, name: str, digests: Callable[[], Iterator[str]]
    ) -> tuple[bool, str | None]:
        """Return whether the picture stands at *target* already, and else what is in its way."""
        if trouble := self._folder_trouble(target.parent):
            return False, f"{name}: {trouble}"
        if target.is_dir():
            return False, f"{name} is a folder in {self._target}"
        if not target.exists():
            return False, None
        if digest_of(target) in digests():
            return True, None
        if target in self._originals:
            return False, f"{name} is an original of this batch, in {self._target}: export to another folder"
        if self._force:
            return False, None
        return False, f"{name} is another file in {self._target}: --force replaces it"


def _folder_trouble(batch: Path, parent: Path) -> str | None:
    """Return what is wrong with a folder that pictures go to; *batch*: the batch's own, resolved."""
    if parent.resolve().is_relative_to(batch):
        return "that is in the batch's own folder: give another"
    around = next(path for path in (parent, *parent.parents) if path.exists())
    return None if around.is_dir() else f"{around} is a file, and a folder is needed"


def _of_choice(result: Result) -> str:
    return (
        f"{result.id} (line {result.line}): its chosen picture {result.chosen} is not among its "
        f"{len(result.outputs)}: choose another with `batchfill review`"
    )


def _of_source(placed: StoredFile, fate: FileState) -> str:
    where = f"{placed.id} (line {placed.line}): {placed.file} is {fate.value}"
    if fate is FileState.CHANGED:
        return f"{where} since it was fetched: --changed exports it as it is now"
    return f"{where}: `run --retry missing` fetches it again, if the service has it"


NO_TABLE = "no table as an export writes it"


def table_trouble(table: Path, extra: Sequence[str], taken: TakenNames, *, force: bool) -> Iterator[str]:
    """Yield why *table* must not be replaced: it is no earlier table of this export.

    An earlier one has the same columns, *extra* ones too, and lists nothing but names that are *taken* now.
    *force*: any file may be replaced.
    """
    if table.is_dir():
        yield f"{table} is a folder: move it away"
    if force or not table.is_file():
        return
    listed = _listed_in_csv if table.suffix == ".csv" else _listed_in_jsonl
    try:
        stray = next((name for name in listed(table, extra) if name not in taken), None)
    except (OSError, ValueError, TypeError, IndexError, RecursionError, csv.Error):
        yield f"{table} is there and is no table of this batch: move it away, or --force replaces it"
        return
    if stray is not None:
        yield f"{table} lists {stray}, not exported now: move them away, or --force replaces {table.name}"


def _listed_in_csv(table: Path, extra: Sequence[str]) -> Iterator[str]:
    with table.open(encoding="utf-8-sig", newline="") as stream:
        lines = csv.reader(stream)
        head, names = next(lines, None), column_names(extra)
        if head not in [
            [name for name in names if name not in LATER[kept:]] for kept in range(len(LATER) + 1)
        ]:
            raise ValueError(NO_TABLE)
        for cells in lines:
            yield from filter(None, from_cell(cells[COLUMNS.index("outputs")]).split(";"))


def _listed_in_jsonl(table: Path, _extra: Sequence[str]) -> Iterator[str]:
    with table.open(encoding="utf-8") as stream:
        for line in stream:
            value = json.loads(line)
            if not (isinstance(value, dict) and value.keys() >= set(COLUMNS).difference(LATER)):
                raise ValueError(NO_TABLE)
            yield from value["outputs"]
