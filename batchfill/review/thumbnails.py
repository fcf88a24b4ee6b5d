"""The pictures of a batch by the key of their content, and small copies of them that are made once."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, NamedTuple

import anyio
from anyio import to_thread

from batchfill.images.codec.thumbnail import (
    FOLDER,
    LONGEST,
    ThumbTask,
    copy_name,
    key_of,
    make_thumbnail,
    write_copy,
)
from batchfill.review.document import drawn_mask_of, shown_digest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from batchfill.domain.drawn_masks import DrawnMask
    from batchfill.domain.enlargement import Enlargement
    from batchfill.domain.objects import ObjectFile
    from batchfill.domain.reports import ReviewRow
    from batchfill.domain.rows import HeldFile
    from batchfill.review.source import ReviewSource
    from batchfill.workers.pool import Workers

SHOWN = frozenset({"image", "mask"})
"""Inputs that are pictures, and shown."""


class Original(NamedTuple):
    """A file of the batch."""

    file: str
    """Where it is; relative to the batch folder, or absolute."""
    sha256: str
    mask: DrawnMask | None = None
    """What is drawn on it and shown instead."""
    canvas: Enlargement | None = None
    """How the canvas grows that it is shown on."""
    filled: bool = False
    """Whether it is a mask, in which what is new is white."""
    remote: ObjectFile | None = None
    """The object that it is, where it is in a bucket."""

    @property
    def key(self) -> str:
        """What names it."""
        return key_of(shown_digest(self.sha256, self.mask, self.canvas, filled=self.filled))


class Thumbnails:
    """Small copies in the batch folder, named by what they show, so that they never go stale."""

    def __init__(self, source: ReviewSource, workers: Workers) -> None:
        self._source, self._folder, self._workers = source, source.folder / FOLDER, workers
        self._being_made: dict[Path, anyio.Event] = {}

    async def small_copy(self, original: Original, size: str) -> Path:
        """Return the copy of a picture at one of the sizes, made if need be.

        Raises BadPicture when its file is gone, damaged or another.
        """
        target = self._folder / copy_name(original.key, size)
        while target in self._being_made:
            await self._being_made[target].wait()
        if not target.exists():
            await self._make_copy(original, target, LONGEST[size])
        return target

    def hold(self, original: Original) -> AbstractAsyncContextManager[HeldFile]:
        """Give the file of a picture. Raises BadPicture where it is in a bucket and cannot be had."""
        return self._source.hold_file(original.file, original.sha256, original.remote)

    async def _make_copy(self, original: Original, target: Path, longest: int) -> None:
        done = self._being_made[target] = anyio.Event()
        try:
            async with self.hold(original) as held:
                shown = original.mask, original.canvas, original.filled
                task = ThumbTask(held.path, held.sha256, longest, *shown)
                content = await self._workers.do(make_thumbnail, task)
            await to_thread.run_sync(write_copy, target, content)
        finally:
            del self._being_made[target]
            done.set()


class Originals:
    """The pictures of a batch by their keys; of equal ones the first stands for all."""

    def __init__(self) -> None:
        self._by_key: dict[str, Original] = {}
        self._keys: list[str] = []

    def learn(self, exhibit: ReviewRow) -> None:
        """Take note of a row's pictures."""
        for original in originals_of(exhibit):
            if (key := original.key) not in self._by_key:
                self._by_key[key] = original
                self._keys.append(key)

    def get(self, key: str) -> Original | None:
        """Return the picture that *key* names; None when no row has such a picture."""
        return self._by_key.get(key)

    def sent_whole(self, key: str) -> Original | None:
        """Return the picture that is sent as it is; None: no row has it, or it is another's in a bucket."""
        found = self._by_key.get(key)
        return None if found is None or found.mask is not None or found.remote is not None else found

    def behind(self, number: int) -> Iterator[Original]:
        """Yield those that came behind the first *number*, others that come meanwhile too."""
        for place in count(number):
            if place >= len(self._keys):
                return
            yield self._by_key[self._keys[place]]


def originals_of(exhibit: ReviewRow) -> Iterator[Original]:
    """Yield every picture that is shown of a row."""
    for name, file in exhibit.files.items():
        if name in SHOWN:
            yield Original(file.path, file.sha256, None, exhibit.enlargement, name == "mask", file.remote)
    if (mask := drawn_mask_of(exhibit)) is not None:
        picture = exhibit.files["image"]
        yield Original(picture.path, picture.sha256, mask, exhibit.enlargement, True, picture.remote)
    for output in (*exhibit.outputs, *exhibit.earlier):
        yield Original(output.file, output.sha256)
