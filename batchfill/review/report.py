"""The page as a folder of files that works offline and can be sent to other people."""

from __future__ import annotations

import pickle
import shutil
import tempfile
from contextlib import suppress
from itertools import count
from typing import IO, TYPE_CHECKING, Any

import anyio
from anyio import to_thread

from batchfill.errors import BadPicture, UsageError
from batchfill.images.codec.thumbnail import THUMB, VIEW
from batchfill.review import assets
from batchfill.review.document import (
    DOCUMENT_END,
    course_object,
    document_start,
    encode_json,
    head_object,
    pictures_of,
    row_object,
)
from batchfill.review.pieces import PieceWriter, read_rows
from batchfill.review.thumbnails import Thumbnails, originals_of
from batchfill.systems import here

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from batchfill.review.source import ReviewSource
    from batchfill.review.thumbnails import Original
    from batchfill.workers.pool import Workers

PAGE, DOCUMENT = "index.html", "batch.json"
PIECES, PIECES_NEW = "pieces", "pieces.new"
FOLDERS = {THUMB: "thumbs", VIEW: "views"}
SMALL, FULL = "small", "full"
SIZES = {SMALL: (THUMB,), FULL: (THUMB, VIEW)}
"""Of a report: which copies of each picture are in it."""
AHEAD = 16
"""Pictures that are asked for at a time; the workers do as many at once as they can."""


async def write_report(
    source: ReviewSource,
    workers: Workers,
    target: Path,
    *,
    size: str = FULL,
    watch: Callable[[int, int], None] = lambda done, of: None,
) -> Path:
    """Write the report of *source* into the folder *target* and return the page to open.

    *size*: one of SIZES. *watch* is told after each picture how many are made, and of how many.
    An earlier report is replaced.
    Raises UsageError when *target* holds anything else.
    """
    _refuse_foreign(target)
    copies = SIZES[size]
    for copy in copies:
        (target / FOLDERS[copy]).mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=target) as wanted:
        head, pictures = _write_pieces(source, target / PIECES_NEW, wanted)
        left = ((original, copy) for original in _read_originals(wanted, pictures) for copy in copies)
        told = pictures * len(copies)
        await _copy_all(Thumbnails(source, workers), left, target, lambda done: watch(done, told))
    page = _put_in_place(target, head, size)
    # An earlier report may have been larger.
    for copy in FOLDERS.keys() - copies:
        shutil.rmtree(target / FOLDERS[copy], ignore_errors=True)
    return page


def _write_pieces(source: ReviewSource, folder: Path, wanted: IO[bytes]) -> tuple[dict[str, Any], int]:
    """Write the rows into *folder*, and every different picture to *wanted*.

    Return the head, with what the page has to know of the pieces, and the number of pictures.
    Memory holds a few bytes of each picture, and no rows.
    """
    shutil.rmtree(folder, ignore_errors=True)
    course = course_object(list(source.history()))
    writer, made, known = PieceWriter(folder), 0, set[bytes]()
    for exhibit in source.review_rows():
        writer.add(row_object(exhibit))
        made += pictures_of(exhibit)
        for original in originals_of(exhibit):
            if (key := bytes.fromhex(original.key)) not in known:
                known.add(key)
                pickle.dump(original, wanted)
    return {**head_object(source.status(), course, made), "pieces": writer.finish()}, len(known)


def _read_originals(wanted: IO[bytes], pictures: int) -> Iterator[Original]:
    wanted.seek(0)
    # No other process can write into the file, which has no name.
    return (pickle.load(wanted) for _ in range(pictures))  # noqa: S301


async def _copy_all(
    small: Thumbnails, wanted: Iterator[tuple[Original, str]], target: Path, watch: Callable[[int], None]
) -> None:
    numbers = count(1)

    async def copy_some() -> None:
        for original, size in wanted:
            with suppress(BadPicture):  # the page says that it is not there
                copy = await small.small_copy(original, size)
                await to_thread.run_sync(
                    shutil.copyfile, copy, target / FOLDERS[size] / f"{original.key}.webp"
                )
            watch(next(numbers))

    async with anyio.create_task_group() as tasks:
        for _ in range(AHEAD):
            tasks.start_soon(copy_some)


def _put_in_place(target: Path, head: dict[str, Any], size: str) -> Path:
    """Replace an earlier report's files, the page last; return the page."""
    shutil.rmtree(target / PIECES, ignore_errors=True)
    here().replace_file(target / PIECES_NEW, target / PIECES)
    public = {name: value for name, value in head.items() if name != "pieces"}
    with (target / DOCUMENT).open("wb") as document:
        document.write(document_start(public).encode())
        for number, rows in enumerate(read_rows(target / PIECES)):
            document.write(b",\n" * (number > 0) + rows)
        document.write(DOCUMENT_END.encode())
    (target / PAGE).write_text(assets.bind_page(encode_json({**head, "size": size})), "utf-8")
    return target / PAGE


def _refuse_foreign(target: Path) -> None:
    """Raise UsageError when *target* holds what no report holds."""
    if not target.exists():
        return
    if not target.is_dir():
        raise UsageError(f"{target} is a file: name a folder for the report")
    foreign = {path.name for path in target.iterdir()} - {
        PAGE,
        DOCUMENT,
        PIECES,
        PIECES_NEW,
        *FOLDERS.values(),
    }
    if foreign:
        raise UsageError(
            f"{target} holds {sorted(foreign)[0]}, which is no part of a report: name a new or empty folder"
        )
