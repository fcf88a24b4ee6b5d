"""Work on a row whose files are objects: any machine that reaches their bucket can do it.

The outputs are put below --outputs first, as they are in any case. What is made of them is left in MADE, from
where the run takes it to its place.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from batchfill.errors import NoAnswer
from batchfill.filenames import mime_of
from batchfill.images.finished_row import FinishedRow, finish_row
from batchfill.images.quality.flags import flag_outputs
from batchfill.storage.object_copies import CopyTask, copy_object
from batchfill.storage.remote_files import RemoteTask, fetch_file
from batchfill.storage.remote_store import store_of_process

if TYPE_CHECKING:
    from collections.abc import Mapping

    from batchfill.domain.objects import ObjectFile, RemoteFile
    from batchfill.domain.rows import LocalFile
    from batchfill.finishing.row_recipe import RowRecipe

MADE = "made/"
"""Where finished files wait for the run, below the address of --outputs."""


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

    @property
    def made(self) -> tuple[str, ...]:
        """Where the finished files are left: the same for the same outputs, so that no two stay."""
        return tuple(f"{self.root}{MADE}{output.file.rpartition('/')[2]}" for output in self.outputs)


def work_on_objects(task: ObjectsTask) -> FinishedRow:
    """Leave the finished pictures of *task* in its bucket, and judge its outputs; see `finish_row`.

    Without a format they are judged only. Raises BadPicture, ObjectGone where an original has changed,
    ObjectsRefused and NoAnswer as every call of a storage.
    """
    with TemporaryDirectory(prefix="batchfill-") as name:
        folder = Path(name)
        files = {name: _copy(file, folder / name) for name, file in task.files.items()}
        raws = [_fetch(task.root, output, folder / f"{n}") for n, output in enumerate(task.outputs)]
        if task.recipe.format is None:
            return FinishedRow((), flag_outputs(task.recipe.flag_task(files, raws)))
        targets = [folder / f"{n}-made" for n in range(len(raws))]
        row = finish_row(task.recipe.row_task(files, raws, targets, thumbs=None, judged=task.judged))
        store = store_of_process()
        for target, address, file in zip(targets, task.made, row.files, strict=True):
            store.put_object(address, target.read_bytes(), mime=mime_of(f"any{file.picture.suffix}"))
    return row


def _copy(file: ObjectFile, folder: Path) -> LocalFile:
    # Its own name, which messages tell, in a folder of its own.
    return copy_object(CopyTask(file, folder / file.name))


def _fetch(root: str, output: RemoteFile, path: Path) -> Path:
    address = f"{root}{output.file}"
    assert output.wanted is not None
    if fetch_file(RemoteTask(address, path, output.wanted)) is None:
        raise NoAnswer(f"{address} is not what was put there")
    return path


def take_made(task: RemoteTask) -> bool:
    """Move a finished file of the bucket to the disk; False: it is another one, or gone.

    Raises OSError, ObjectsRefused and NoAnswer as `fetch_file`.
    """
    if fetch_file(task) is None:
        return False
    store_of_process().remove_object(task.address)
    return True
