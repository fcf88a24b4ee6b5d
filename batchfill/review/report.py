"""The page as a folder of files that works offline and can be sent to other people."""

from __future__ import annotations

import shutil
from contextlib import suppress
from itertools import count
from typing import TYPE_CHECKING

import anyio
from anyio import to_thread

from batchfill.errors import BadPicture, UsageError
from batchfill.review import assets
from batchfill.review.document import make_document
from batchfill.review.thumbnails import THUMB, VIEW, Thumbnails

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from batchfill.review.source import ReviewSource
    from batchfill.workers.pool import Workers

PAGE, DOCUMENT = "index.html", "batch.json"
FOLDERS = {THUMB: "thumbs", VIEW: "views"}
AHEAD = 16
"""Pictures that are asked for at a time; the workers do as many at once as they can."""


async def write_report(
    source: ReviewSource,
    workers: Workers,
    target: Path,
    *,
    watch: Callable[[int, int], None] = lambda done, of: None,
) -> Path:
    """Write the report of *source* into the folder *target* and return the page to open.

    *watch* is told after each picture how many are made, and of how many. An earlier report is replaced.
    Raises UsageError when *target* holds anything else.
    """
    _refuse_foreign(target)
    pictures = Thumbnails(source.folder, workers)
    whole = make_document(
        source.status(), pictures.learn_files(source.review_rows()), list(source.history())
    ).text()
    for folder in FOLDERS.values():
        (target / folder).mkdir(parents=True, exist_ok=True)
    await _copy_all(pictures, target, watch)
    (target / DOCUMENT).write_text(whole, "utf-8")
    (target / PAGE).write_text(assets.bind_page(whole), "utf-8")
    return target / PAGE


async def _copy_all(pictures: Thumbnails, target: Path, watch: Callable[[int, int], None]) -> None:
    wanted = [(key, size) for key in pictures.all_keys() for size in FOLDERS]
    numbers, limit = count(1), anyio.Semaphore(AHEAD)

    async def copy(key: str, size: str) -> None:
        async with limit:
            with suppress(BadPicture):  # the page says that it is not there
                small = await pictures.small_copy(key, size)
                assert small is not None
                await to_thread.run_sync(shutil.copyfile, small, target / FOLDERS[size] / f"{key}.webp")
            watch(next(numbers), len(wanted))

    async with anyio.create_task_group() as tasks:
        for key, size in wanted:
            tasks.start_soon(copy, key, size)


def _refuse_foreign(target: Path) -> None:
    """Raise UsageError when *target* holds what no report holds."""
    if not target.exists():
        return
    if not target.is_dir():
        raise UsageError(f"{target} is a file: name a folder for the report")
    foreign = {path.name for path in target.iterdir()} - {PAGE, DOCUMENT, *FOLDERS.values()}
    if foreign:
        raise UsageError(
            f"{target} holds {sorted(foreign)[0]}, which is no part of a report: name a new or empty folder"
        )
