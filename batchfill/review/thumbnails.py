"""The pictures of a batch by the key of their content, and small copies of them that are made once."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import anyio
from anyio import to_thread

from batchfill.images.codec.thumbnail import ThumbTask, make_thumbnail
from batchfill.review.document import drawn_mask_of, key_of, shown_digest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from batchfill.domain.drawn_masks import DrawnMask
    from batchfill.domain.enlargement import Enlargement
    from batchfill.domain.reports import ReviewRow
    from batchfill.workers.pool import Workers

FOLDER = "thumbs"
THUMB, VIEW = "thumb", "view"
LONGEST = {THUMB: 320, VIEW: 1280}
"""Pixels of the longer side: of a picture on the wall, and of one that fills the window."""


@dataclass(frozen=True, slots=True)
class Original:
    """A file of the batch."""

    file: Path
    sha256: str
    mask: DrawnMask | None = None
    """What is drawn on it and shown instead."""
    canvas: Enlargement | None = None
    """How the canvas grows that it is shown on."""
    filled: bool = False
    """Whether it is a mask, in which what is new is white."""

    @property
    def key(self) -> str:
        """What names it."""
        return key_of(shown_digest(self.sha256, self.mask, self.canvas, filled=self.filled))


class Thumbnails:
    """Small copies in the batch folder, named by what they show, so that they never go stale."""

    def __init__(self, folder: Path, workers: Workers) -> None:
        self._batch, self._folder, self._workers = folder, folder / FOLDER, workers
        self._originals: dict[str, Original] = {}
        self._being_made: dict[Path, anyio.Event] = {}

    def learn_files(self, exhibits: Iterable[ReviewRow]) -> Iterator[ReviewRow]:
        """Yield *exhibits* on, having taken note of their files; of equal ones the first stands for all."""
        for exhibit in exhibits:
            for original in self._originals_of(exhibit):
                self._originals.setdefault(original.key, original)
            yield exhibit

    def all_keys(self) -> list[str]:
        """Return the key of every picture."""
        return list(self._originals)

    def original_file(self, key: str) -> Path | None:
        """Return the file itself; None when no row has such a picture, or it is a mask without a file."""
        found = self._originals.get(key)
        return None if found is None or found.mask is not None else found.file

    async def small_copy(self, key: str, size: str) -> Path | None:
        """Return the copy of a picture at one of the sizes, made if need be.

        None when no row has such a picture. Raises BadPicture when its file is gone, damaged or another.
        """
        original = self._originals.get(key)
        if original is None:
            return None
        target = self._folder / f"{key}-{size}.webp"
        while target in self._being_made:
            await self._being_made[target].wait()
        if not target.exists():
            await self._make_copy(original, target, LONGEST[size])
        return target

    async def _make_copy(self, original: Original, target: Path, longest: int) -> None:
        done = self._being_made[target] = anyio.Event()
        try:
            shown = original.mask, original.canvas, original.filled
            task = ThumbTask(original.file, original.sha256, longest, *shown)
            content = await self._workers.do(make_thumbnail, task)
            await to_thread.run_sync(_write_copy, target, content)
        finally:
            del self._being_made[target]
            done.set()

    def _originals_of(self, exhibit: ReviewRow) -> Iterator[Original]:
        for name in ("image", "mask"):
            if (file := exhibit.files.get(name)) is not None:
                yield Original(file.path, file.sha256, None, exhibit.enlargement, filled=name == "mask")
        if (mask := drawn_mask_of(exhibit)) is not None:
            picture = exhibit.files["image"]
            yield Original(picture.path, picture.sha256, mask, exhibit.enlargement, filled=True)
        for output in (*exhibit.outputs, *exhibit.earlier):
            assert output.file is not None
            assert output.sha256 is not None
            yield Original(self._batch / output.file, output.sha256)


def _write_copy(target: Path, content: bytes) -> None:
    """Write a copy whole or not at all; on a full disk the next one who asks has it made again."""
    target.parent.mkdir(exist_ok=True)
    unfinished = target.with_name(f"{target.name}.{os.getpid()}.tmp")
    try:
        unfinished.write_bytes(content)
        unfinished.replace(target)
    except OSError:
        with suppress(OSError):
            unfinished.unlink(missing_ok=True)
        raise
