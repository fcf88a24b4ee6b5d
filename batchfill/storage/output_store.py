"""The batch folder's files: an output is whole and in its place, or it is not there."""

from __future__ import annotations

import errno
import os
import re
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, TypeVar
from uuid import uuid4

from anyio import CapacityLimiter, Lock, lowlevel, to_thread

from batchfill.errors import NO_ROOM, StorageError
from batchfill.regular_files import open_regular
from batchfill.storage.disk import refuse_far
from batchfill.storage.staged_file import PartialFile, StagedFile
from batchfill.systems import here

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Callable, Iterator, Sequence
    from pathlib import Path

    from batchfill.domain.predictions import Output

Seen = TypeVar("Seen")

HELD = 1 << 20
"""Bytes of a file on its way that are kept before they are written."""

OUTPUTS, TMP, SUSPECT = "outputs", "tmp", "suspect"
EARLIER, RAW = "outputs/earlier", "outputs/raw"


@dataclass(slots=True, eq=False)
class _Move:
    """A whole file on its way to its place, which other files may share a hop and a flush with."""

    written: StagedFile
    target: Path
    over: str | None
    placed: bool = False
    error: OSError | None = None
    """Why it did not get there."""


class OutputStore:
    """Files below one batch folder; every name given out or taken is relative to it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._flushed: set[Path] = set()
        """Folders whose names are on disk, as far as this process knows."""
        # A decoded picture may take most of the memory that there is.
        self._looking = CapacityLimiter(os.cpu_count() or 2)
        self._moves: list[_Move] = []
        """What waits for the group of files before it to be placed."""
        self._moving = Lock(fast_acquire=True)

    def make_folders(self) -> None:
        """Make the folders."""
        refuse_far(self.folder)
        with _write_guarded():
            _flush_above(self.folder)
            for name in (OUTPUTS, TMP):
                self._make_folder(self.folder / name)
                _refuse_unwritable(self.folder / name)
            for name in (OUTPUTS, RAW, EARLIER):
                self._refuse_other_disk(self.folder / name)

    def _refuse_other_disk(self, folder: Path) -> None:
        """Find out before anything is paid for whether a file of `tmp/` can be moved to *folder*."""
        if not folder.is_dir() or folder.stat().st_dev == (self.folder / TMP).stat().st_dev:
            return
        probe = self.folder / TMP / f"probe-{uuid4().hex}"
        probe.touch()
        try:
            here().replace_file(probe, folder / probe.name)
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(folder)) from error
        finally:
            for place in (probe, folder / probe.name):
                place.unlink(missing_ok=True)

    def sweep_temporary(self) -> None:
        """Clear away what runs that died left behind, once no run will `find` it any more."""
        with suppress(OSError):
            for leftover in (self.folder / TMP).iterdir():
                with suppress(OSError):
                    leftover.unlink()

    async def write_staged(
        self, prediction_id: str, n: int, chunks: AsyncIterable[bytes], look: Callable[[Path], Seen]
    ) -> tuple[StagedFile, Seen]:
        """Write *chunks* to a temporary file, flush it to disk, and return it and what *look* sees in it.

        Nothing stays when they break off, or when *look* raises.
        """
        path = self._temporary_path(prediction_id, n)
        growing = PartialFile(path)
        held: list[bytes] = []
        with _write_guarded():
            self._make_folder(path.parent)
            try:
                # Next to the event loop, in as few hops as the size allows: a disk may be slow.
                async for chunk in chunks:
                    held.append(chunk)
                    if sum(map(len, held)) >= HELD:
                        await to_thread.run_sync(growing.add_chunks, held)
                        held = []
                return await to_thread.run_sync(_finish_file, growing, held, look, limiter=self._looking)
            except BaseException:
                growing.discard_file()
                raise

    async def commit(self, written: StagedFile, file: str, *, over: str | None = None) -> None:
        """Move a whole file to *file*, relative to the batch folder; its name is on disk when this returns.

        What stands there is set aside, unless its digest is *over*.
        """
        move = _Move(written, self.folder / file, over)
        self._moves.append(move)
        try:
            async with self._moving:
                await self._place_group(move)
        finally:
            # One that was given up before its turn stays where it is.
            self._moves = [other for other in self._moves if other is not move]
        with _write_guarded():
            if move.error is not None:
                raise move.error

    async def clear_place(self, file: str, sha256: str, *, over: str | None = None) -> None:
        """Have nothing in the place of *file*, unless its digest is *sha256*; for the rest as `commit`."""
        async with self._moving:
            with _write_guarded():
                await to_thread.run_sync(self._clear_place, self.folder / file, sha256, over)

    def _clear_place(self, target: Path, sha256: str, over: str | None) -> None:
        if not os.path.lexists(target) or (content := _content(target)) == sha256:
            return
        if content is not None and content == over:
            target.unlink()
        else:
            self._archive_file(target)

    async def move_file(self, file: str, to: str) -> None:
        """Move a file that is in place, if it still is, to *to*; both relative to the batch folder."""
        source, target = self.folder / file, self.folder / to
        async with self._moving:
            with _write_guarded():
                await self._move_if_there(source, target)

    async def _move_if_there(self, source: Path, target: Path) -> None:
        if os.path.lexists(source):
            if os.path.lexists(target):
                await to_thread.run_sync(self._archive_file, target)
            await to_thread.run_sync(self._move_file, source, target)
        elif os.path.lexists(target):
            await to_thread.run_sync(flush_folder, target.parent)

    async def find_staged(self, output: Output) -> StagedFile | None:
        """Return what a run that died had written whole of *output*, in its planned place or before it."""
        if output.sha256 is None:
            return None
        places = [self._temporary_path(output.prediction_id, output.n)]
        if output.planned is not None:
            places.append(self.folder / output.planned)
        for path in places:
            if await to_thread.run_sync(_content, path) == output.sha256:
                return StagedFile(path, path.stat().st_size, output.sha256)
        return None

    def staged_name(self, output: Output) -> str:
        """Return where *output* is written before it gets its place."""
        return self._temporary_path(output.prediction_id, output.n).relative_to(self.folder).as_posix()

    def spare_path(self) -> Path:
        """Return a new name for a temporary file, which a worker of a run that died cannot have too."""
        return self.folder / TMP / uuid4().hex

    def raw_name(self, output: Output, suffix: str) -> str:
        """Return where *output* is kept as the service sent it, for a file to be made of it."""
        return f"{RAW}/{stem_of(output.prediction_id, output.n)}{suffix}"

    async def find_kept(self, output: Output) -> StagedFile | None:
        """Return the file that *output* is kept in, if it is there and as it was."""
        if output.raw is None or output.raw_sha256 is None:
            return None
        return await self.find_file(output.raw, output.raw_sha256)

    async def remove_file(self, file: str, sha256: str | None) -> None:
        """Remove *file*, unless its content is another than *sha256*: then it is the user's work."""
        # No other file gets its place in between.
        async with self._moving:
            if sha256 is not None and (written := await self.find_file(file, sha256)) is not None:
                written.path.unlink()

    def is_here(self, file: str) -> bool:
        """Whether anything is in the place of *file*."""
        return os.path.lexists(self.folder / file)

    async def find_file(self, file: str, sha256: str) -> StagedFile | None:
        """Return *file*, relative to the batch folder, if it is here and has that content."""
        path = self.folder / file
        if await to_thread.run_sync(_content, path) != sha256:
            return None
        return StagedFile(path, path.stat().st_size, sha256)

    def earlier_name(self, output: Output) -> str:
        """Return where *output* goes when another takes its place."""
        suffix = PurePosixPath(output.file or "").suffix
        return f"{EARLIER}/{stem_of(output.prediction_id, output.n)}{suffix}"

    def keep_suspect(
        self, written: StagedFile, mark: Callable[[bytes], bytes] = bytes, *, suffix: str = ""
    ) -> str:
        """Keep bytes that are not known to be a whole picture, for a person to look at. Return their place.

        *mark* is given the bytes and returns those to be kept; *suffix*: of their format, where it is known.
        """
        target = self.folder / SUSPECT / f"{written.path.name}{suffix}"
        with _write_guarded():
            written.path.write_bytes(mark(written.path.read_bytes()))
            target.parent.mkdir(exist_ok=True)
            if target.is_dir():
                self._archive_file(target)
            here().replace_file(written.path, target)
        return f"{SUSPECT}/{target.name}"

    def discard_file(self, written: StagedFile) -> None:
        """Remove a temporary file."""
        written.path.unlink(missing_ok=True)

    def _temporary_path(self, prediction_id: str, n: int) -> Path:
        return self.folder / TMP / stem_of(prediction_id, n)

    async def _place_group(self, move: _Move) -> None:
        """Place what waits together with *move*, unless the group before took it along."""
        if move.placed or move.error is not None:
            return
        # Those whose plans were recorded in one transaction come one right after the other.
        await lowlevel.cancel_shielded_checkpoint()
        # Where a group broke off unexpectedly, each of its files has a turn of its own.
        group, self._moves = [move, *(other for other in self._moves if other is not move)], []
        await to_thread.run_sync(self._place_files, group)

    def _place_files(self, group: Sequence[_Move]) -> None:
        """Move each file of *group* and flush each folder once; what fails is noted with its file."""
        moved: dict[Path, list[_Move]] = {}
        for move in group:
            try:
                self._place_file(move)
            except OSError as error:
                move.error = error
            else:
                moved.setdefault(move.target.parent, []).append(move)
        for folder, there in moved.items():
            try:
                flush_folder(folder)
            except OSError as error:
                for move in there:
                    move.error = error
            else:
                for move in there:
                    move.placed = True

    def _place_file(self, move: _Move) -> None:
        """Move one file; its name is on disk once its folder was flushed."""
        written, target = move.written, move.target
        # Most often there is nothing: one question instead of three.
        if os.path.lexists(target) and _content(target) not in (written.sha256, move.over or written.sha256):
            self._archive_file(target)
        self._make_folder(target.parent)
        here().replace_file(written.path, target)

    def _archive_file(self, target: Path) -> None:
        """Keep what the ledger does not know: the user's own, or left between rename and record.

        A folder, a pipe or a link in the place of a picture moves as it is.
        """
        mark = (_content(target) or uuid4().hex)[:12]
        self._move_file(target, self.folder / EARLIER / f"{target.stem}-{mark}{target.suffix}")

    def _move_file(self, source: Path, target: Path) -> None:
        self._make_folder(target.parent)
        here().replace_file(source, target)
        flush_folder(target.parent)

    def _make_folder(self, folder: Path) -> None:
        # The whole batch folder may be moved away while a run goes on.
        if folder not in self._flushed or not folder.is_dir():
            folder.mkdir(parents=True, exist_ok=True)
            flush_folder(folder.parent)
            self._flushed.add(folder)


def _finish_file(
    growing: PartialFile, chunks: Sequence[bytes], look: Callable[[Path], Seen]
) -> tuple[StagedFile, Seen]:
    written = growing.finish_file(chunks)
    return written, look(written.path)


@contextmanager
def _write_guarded() -> Iterator[None]:
    """Say it once, where every file is written: the folder cannot take what was paid for."""
    try:
        yield
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        raise StorageError(
            f"the batch folder cannot be written: {where}{error.strerror}. {_remedy_for(error)}"
        ) from error


def _refuse_unwritable(folder: Path) -> None:
    """Find out before anything is paid for."""
    if not os.access(folder, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))


def _remedy_for(error: OSError) -> str:
    if error.errno == errno.EXDEV:
        return "The whole batch folder has to be on one disk: give a folder there with --out"
    if error.errno in (errno.EEXIST, errno.ENOTDIR):
        return "Move away what is in the place of a folder"
    return "Make room" if error.errno in NO_ROOM else "Check its permissions"


def _flush_above(folder: Path) -> None:
    """Flush every folder around *folder*: any of them may have been made for it just now."""
    for around in folder.absolute().parents:
        # Some of those far above are not ours to open, nor were they made for us.
        with suppress(OSError):
            flush_folder(around)


def flush_folder(folder: Path) -> None:
    # What is new in a folder is on disk only when the folder is, and the program that put it there may have
    # died before that.
    here().flush_folder(folder)


def _content(path: Path) -> str | None:
    """Return the SHA-256 of the file at *path*; None when there is none that can be read."""
    try:
        return digest_of(path)
    except OSError:
        return None


def is_current(file: str) -> bool:
    """Whether *file*, a name below `outputs/`, is neither one kept raw nor one of before."""
    return not file.startswith((f"{EARLIER}/", f"{RAW}/"))


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a regular file. Raises OSError."""
    with open_regular(path) as file:
        digest = sha256()
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def stem_of(prediction_id: str, n: int) -> str:
    """Return a file name, without its suffix, that no other output of the batch has."""
    return f"{safe_name(prediction_id)}-{n}"


def safe_name(prediction_id: str) -> str:
    """Return a file name for an id that the service chose and that may hold anything."""
    if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}", prediction_id):
        return prediction_id
    return sha256(prediction_id.encode()).hexdigest()[:32]
