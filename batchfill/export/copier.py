"""Files of another folder: each whole or not there, flushed before it gets its name."""

from __future__ import annotations

import os
from contextlib import contextmanager
from hashlib import sha256
from typing import TYPE_CHECKING, TextIO
from uuid import uuid4

from batchfill.errors import ExportStopped
from batchfill.regular_files import open_regular
from batchfill.systems import here

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import IO

    from batchfill.export.marking import Change

CHUNK = 1 << 20
"""Bytes read at once."""

UNFINISHED = ".batchfill-{}.tmp"


class Copier:
    """Puts files below one folder, which is the user's and may hold others."""

    def __init__(self, folder: Path, *, link: bool, force: bool) -> None:
        """*link*: hard links instead of copies, as long as the file systems allow them.

        *force*: pictures replace what is there.
        """
        self._folder = folder
        self._force = force
        self._link = link
        self._made: set[Path] = set()
        self.copied = self.linked = self.size = 0
        """Files, and the bytes of those copied."""
        self.unmarked = 0
        """Linked files that a copy would have been marked of."""
        self.no_links: str | None = None
        """Why files were copied that were to be linked."""

    def put_file(
        self,
        source: Path,
        name: str,
        digest: str | None,
        change: Change | None = None,
        *,
        own: bool = True,
    ) -> None:
        """Put *source* at *name* below the folder; *change* makes of its content that of a copy.

        Not *own*: it is a copy for the moment, which nothing is linked to.
        Raises ExportStopped when something is there already, or *source* has not the SHA-256 *digest* (None:
        any will do).
        """
        if not self._force and (self._folder / name).exists():
            raise ExportStopped(f"{self._folder / name} has appeared during the export; export again")
        with self._unfinished_file(name) as unfinished:
            if self._link and own and self._try_link(source, unfinished):
                self.linked += 1
                self.unmarked += change is not None
                return
            self._copy_file(source, unfinished, digest, change)
            self.copied += 1

    @contextmanager
    def open_text(self, name: str) -> Iterator[TextIO]:
        """Give a stream whose content, in UTF-8 and with its own line ends, gets *name* in the end."""
        with (
            self._unfinished_file(name) as unfinished,
            unfinished.open("w", encoding="utf-8", newline="") as stream,
        ):
            yield stream
            _flush_stream(stream)

    def flush_folders(self) -> None:
        """Return when every name is on disk."""
        for folder in self._made:
            here().flush_folder(folder)

    @contextmanager
    def _unfinished_file(self, name: str) -> Iterator[Path]:
        target = self._folder / name
        self._make_folder(target.parent)
        # A name that no other export can have: another export may be under way to the same folder.
        unfinished = target.with_name(UNFINISHED.format(uuid4().hex))
        try:
            yield unfinished
            here().replace_file(unfinished, target)
        finally:
            # To rename one hard link to another of the same file does nothing, and leaves it.
            unfinished.unlink(missing_ok=True)

    def _make_folder(self, folder: Path) -> None:
        if folder in self._made:
            return
        folder.mkdir(parents=True, exist_ok=True)
        for leftover in folder.glob(UNFINISHED.format("?" * 32)):
            leftover.unlink(missing_ok=True)  # of an export that was killed
        self._made.add(folder)

    def _try_link(self, source: Path, target: Path) -> bool:
        try:
            os.link(source, target)
        except FileNotFoundError:
            raise
        except OSError as error:
            # Another file system, or one without links: the next one would go the same way.
            self._link, self.no_links = False, error.strerror
            return False
        return True

    def _copy_file(self, source: Path, target: Path, digest: str | None, change: Change | None) -> None:
        with open_regular(source) as file, target.open("wb") as copy:
            found = (
                self._pour_content(file, copy) if change is None else self._pour_changed(file, copy, change)
            )
            _flush_stream(copy)
        if digest not in (None, found):
            raise ExportStopped(f"{source} was changed while it was being exported; export again")

    def _pour_content(self, file: IO[bytes], copy: IO[bytes]) -> str:
        digest = sha256()
        while chunk := file.read(CHUNK):
            digest.update(chunk)
            copy.write(chunk)
            self.size += len(chunk)
        return digest.hexdigest()

    def _pour_changed(self, file: IO[bytes], copy: IO[bytes], change: Change) -> str:
        content, digest = file.read(), sha256()
        digest.update(content)
        self.size += copy.write(change(content))
        return digest.hexdigest()


def _flush_stream(stream: IO[bytes] | TextIO) -> None:
    stream.flush()
    os.fsync(stream.fileno())
