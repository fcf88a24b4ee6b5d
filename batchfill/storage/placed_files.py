"""Files of a batch for those who read them: in the batch folder, else below the address of --outputs."""

from __future__ import annotations

import errno
import os
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from batchfill.errors import NoAnswer, ObjectGone, ObjectsRefused, UsageError
from batchfill.ledger.caches.object_listing import ObjectListing
from batchfill.storage.made_files import PlacedObject, fetch_placed
from batchfill.storage.missing import LOST, FileState, file_state
from batchfill.storage.output_store import OUTPUTS, is_current
from batchfill.storage.remote_store import store_of_process

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from batchfill.domain.objects import ObjectFile, RemoteCopy
    from batchfill.domain.rows import StoredFile

ASKED = 1000
"""Objects that are asked for one by one before all are listed, which takes a request for as many."""


class PlacedFiles:
    """Files by their names in the ledger. One thread asks at a time, and may wait for the network.

    Every method raises ObjectsRefused and NoAnswer as calls of a storage do.
    """

    def __init__(
        self,
        folder: Path,
        root: str | None = None,
        put: Callable[[str], RemoteCopy | None] = lambda file: None,
    ) -> None:
        """*folder*: of the batch. *root*: the address of --outputs, where there is one.

        *put*: tells what was put there of a file; what it does not know of is read, to be compared.
        """
        self._folder, self._root, self._put = folder, root, put
        self._store = store_of_process()
        self._asked = 0
        self._listing: ObjectListing | None = None

    def close(self) -> None:
        """Let go of what was listed."""
        if self._listing is not None:
            self._listing.close()

    def state(self, placed: StoredFile) -> FileState:
        """Return what became of a file that was *placed*."""
        here = file_state(self._folder / placed.file, placed)
        # A run that goes on may just have put it.
        if self._root is None or here is not FileState.MISSING:
            return here
        if self._is_as_put(placed, self._find(placed.file)):
            return FileState.IN_PLACE
        with self._copied(placed, self._root) as copy:
            return FileState.MISSING if copy is None else file_state(copy, placed)

    @contextmanager
    def hold(self, placed: StoredFile) -> Iterator[Path]:
        """Give the file that was *placed*, as it is now. Raises FileNotFoundError."""
        path = self._folder / placed.file
        if self._root is None or self.is_here(placed.file):
            yield path
            return
        with self._copied(placed, self._root) as copy:
            if copy is None:
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
            yield copy

    def is_here(self, file: str) -> bool:
        """Whether the place of *file* in the batch folder is taken: then what is there counts."""
        return os.path.lexists(self._folder / file)

    def names(self) -> set[str]:
        """Return the names of all files below `outputs/`, but for those kept raw and those of before."""
        names = set(names_below(self._folder))
        if self._root is not None:
            names.update(one.address.removeprefix(self._root) for page in self._list() for one in page)
        return {name for name in names if is_current(name)}

    def _is_as_put(self, placed: StoredFile, found: ObjectFile | None) -> bool:
        """Whether *found* is, by its tag and its size, what was put of *placed*."""
        put = self._put(placed.file)
        return (
            put is not None
            and found is not None
            and (put.sha256, put.etag, placed.size) == (placed.sha256, found.etag, found.size)
        )

    def _find(self, file: str) -> ObjectFile | None:
        address = f"{self._root}{file}"
        if self._listing is None and self._asked < ASKED:
            self._asked += 1
            return self._store.find_object(address)
        if self._listing is None:
            for _ in self._list():
                pass
        assert self._listing is not None
        return self._listing.find(address)

    def _list(self) -> Iterator[list[ObjectFile]]:
        """Yield what is below `outputs/` in the bucket, in pages; it is known from then on."""
        listing = ObjectListing()
        try:
            with listing.adding():
                for page in self._store.list_objects(f"{self._root}{OUTPUTS}/"):
                    listing.add(page)
                    yield page
        except BaseException:
            listing.close()
            raise
        self.close()
        self._listing = listing

    @contextmanager
    def _copied(self, placed: StoredFile, root: str) -> Iterator[Path | None]:
        """Give a copy of what the bucket has of *placed*, whatever is in it now; None: it has nothing."""
        with TemporaryDirectory(prefix="batchfill-", ignore_cleanup_errors=True) as folder:
            copy = Path(folder) / PurePosixPath(placed.file).name
            # What it is to replace may be in its place still, while it waits.
            found = fetch_placed(PlacedObject(root, placed.file, placed.sha256), copy)
            yield copy if found is not None or self._is_read(f"{root}{placed.file}", copy) else None

    def _is_read(self, address: str, copy: Path) -> bool:
        """Whether there is an object at *address*, and *copy* is one of it now."""
        if (found := self._store.find_object(address)) is None:
            return False
        with suppress(ObjectGone), copy.open("w+b") as file:
            self._store.read_object(found, file)
            return True
        return False


def names_below(folder: Path) -> Iterator[str]:
    """Yield the names of files in `outputs/` of the batch *folder*, at any depth."""
    for path in (folder / OUTPUTS).rglob("*"):
        if path.is_file():
            yield path.relative_to(folder).as_posix()


def find_lost(files: PlacedFiles, collected: Iterable[StoredFile]) -> list[StoredFile]:
    """Return those of the files that were *collected* which are lost. Raises as *files* do."""
    return [placed for placed in collected if files.state(placed) in LOST]


@contextmanager
def open_files(
    folder: Path, root: str | None, put: Callable[[str], RemoteCopy | None] = lambda file: None
) -> Iterator[PlacedFiles]:
    """Give the files of a batch; see PlacedFiles. Raises UsageError where the bucket cannot be asked."""
    files = PlacedFiles(folder, root, put)
    try:
        yield files
    except (NoAnswer, ObjectsRefused) as error:
        raise UsageError(str(error)) from None
    finally:
        files.close()
