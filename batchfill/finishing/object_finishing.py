"""Work on a row whose files are objects: any machine that reaches their bucket can do it.

The outputs are below --outputs, or wait for their places there. So does what is made of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from batchfill.images.finished_row import FinishedRow, finish_row
from batchfill.images.quality.flags import flag_outputs
from batchfill.storage.made_files import OutputGone, PlacedObject, fetch_placed, leave_file
from batchfill.storage.object_copies import CopyTask, copy_object
from batchfill.storage.staged_file import StagedFile

if TYPE_CHECKING:
    from collections.abc import Mapping

    from batchfill.domain.objects import ObjectFile, RemoteFile
    from batchfill.domain.rows import LocalFile
    from batchfill.finishing.row_recipe import RowRecipe


@dataclass(frozen=True, slots=True)
class ObjectsTask:
    """The outputs of a row, and what they were made of. Travels to any machine; may run twice."""

    recipe: RowRecipe
    files: Mapping[str, ObjectFile]
    """By input name."""
    root: str
    """The address of --outputs."""
    outputs: tuple[RemoteFile, ...]
    """As the service sent them."""
    judged: bool
    """Whether they are judged, too, where they are finished."""


def work_on_objects(task: ObjectsTask) -> FinishedRow:
    """Leave the finished pictures of *task* in its bucket, and judge its outputs; see `finish_row`.

    Without a format they are judged only. Raises BadPicture, ObjectGone where an original has changed,
    OutputGone, ObjectsRefused and NoAnswer as every call of a storage.
    """
    with TemporaryDirectory(prefix="batchfill-") as name:
        folder = Path(name)
        files = {name: _copy(file, folder / name) for name, file in task.files.items()}
        raws = [_fetch(task.root, output, folder / f"{n}") for n, output in enumerate(task.outputs)]
        if task.recipe.format is None:
            return FinishedRow((), flag_outputs(task.recipe.flag_task(files, raws)))
        targets = [folder / f"{n}-made" for n in range(len(raws))]
        row = finish_row(task.recipe.row_task(files, raws, targets, thumbs=None, judged=task.judged))
        for target, output, file in zip(targets, task.outputs, row.files, strict=True):
            made = StagedFile(target, file.size, file.sha256)
            leave_file(task.root, made, f"{PurePosixPath(output.file).stem}-finished{file.picture.suffix}")
    return row


def _copy(file: ObjectFile, folder: Path) -> LocalFile:
    # Its own name, which messages tell, in a folder of its own.
    return copy_object(CopyTask(file, folder / file.name))


def _fetch(root: str, output: RemoteFile, path: Path) -> Path:
    assert output.wanted is not None
    if fetch_placed(PlacedObject(root, output.file, output.wanted), path) is None:
        raise OutputGone(f"{root}{output.file} is not what was put there")
    return path
