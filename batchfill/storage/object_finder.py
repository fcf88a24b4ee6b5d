"""The objects that rows name, found in listings: one of each prefix, however many rows name what is in it."""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING

from batchfill.domain.objects import folder_of_object, parse_object_address
from batchfill.domain.rows import LARGEST
from batchfill.errors import MachineFailed, MissingFile, NoAnswer, ObjectsRefused, did_you_mean
from batchfill.ledger.caches.object_listing import ObjectListing
from batchfill.storage.remote_store import RemoteStore

if TYPE_CHECKING:
    from collections.abc import Iterator

    from batchfill.domain.objects import ObjectFile
    from batchfill.storage.object_store import ObjectStore

FOLDERS = 64
"""Listings below one prefix after which all that is below it is listed at once."""
LARGEST_TREE = 5_000_000
"""Objects below a prefix beyond which its folders are listed one by one all the same."""
PASSED = 2000
"""Objects of one sub-folder that a listing of its folder goes by before it leaves out the rest of them."""

_NOT_LISTED = (ObjectsRefused, NoAnswer, MachineFailed)
_LAST = "\U0010ffff"
"""The last character of all: behind every key of a folder."""
_NEIGHBOURS = 5000
_HINTS = 20


class _TooLarge(Exception):
    """There is more below a prefix than is listed at once."""


class ObjectFinder:
    """Finds what addresses of objects mean. It is asked by one thread at a time, and waits for the network.

    Listings alone tell the versions of objects. Another call may tell an ETag in another way, and the same
    object would then be another row, to be paid for once more.
    """

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self._listing: ObjectListing | None = None
        self._listed: set[str] = set()
        """Folders of which every object is known, not those of their sub-folders."""
        self._trees: set[str] = set()
        """Prefixes below which every object is known."""
        self._never_whole: set[str] = set()
        """Prefixes that cannot be listed at once."""
        self._below: Counter[str] = Counter()
        """How often something below a prefix was listed."""
        self._failed: dict[str, Exception] = {}
        """Why a folder, or a whole bucket, cannot be listed."""
        self._unseen: set[str] = set()
        """Buckets of which some folder could not be listed when it was asked what still holds."""
        self._hints = _HINTS

    def find_object(self, address: str) -> ObjectFile:
        """Return the object at *address* as it is now.

        Raises ValueError with what is wrong: no such object, empty, too large, no address of an object; and
        where its folder cannot be listed.
        """
        try:
            found = self._find_listed(address)
        except _NOT_LISTED as error:
            raise ValueError(str(error)) from error
        if found is None:
            raise MissingFile(f"no such object {address}{self._nearest_name(address)}")
        if not found.size:
            raise ValueError(f"{address} is an empty object")
        if found.size > LARGEST:
            size, most = found.size // 2**20, LARGEST // 2**20
            raise ValueError(f"{address} has {size:,} MiB; at most {most} are taken: scale it down")
        return found

    def still_holds(self, wanted: ObjectFile) -> bool:
        """Whether *wanted* is in its bucket as it was; where that cannot be listed, it is taken for so.

        It is read on the condition that it is. What runs is to be fetched, whether or not the bucket answers.
        """
        root = parse_object_address(wanted.address).root
        if root in self._unseen:
            return True
        try:
            return self._find_listed(wanted.address) == wanted
        except _NOT_LISTED:
            # At once for all of it: what was made is there for an hour only.
            self._unseen.add(root)
            return True

    def close(self) -> None:
        """Forget the listings."""
        if self._listing is not None:
            self._listing.close()

    def _find_listed(self, address: str) -> ObjectFile | None:
        if self._listing is None:
            self._listing = ObjectListing()
        if (found := self._listing.find(address)) is not None:
            return found
        parse_object_address(address)
        if self._is_listed(folder := folder_of_object(address)):
            return None
        self._list_around(folder, self._listing)
        return self._listing.find(address)

    def _is_listed(self, folder: str) -> bool:
        return folder in self._listed or not self._trees.isdisjoint(_prefixes_of(folder))

    def _list_around(self, folder: str, listing: ObjectListing) -> None:
        """List *folder*, or all below a prefix of it that was listed many times in pieces."""
        prefixes = _prefixes_of(folder)
        if failed := self._failed.get(folder) or self._failed.get(prefixes[-1]):
            # A new one each time: an error holds on to where it was raised.
            raise type(failed)(str(failed))
        many = (p for p in prefixes if self._below[p] >= FOLDERS and p not in self._never_whole)
        if (tree := next(many, None)) is not None and self._list_tree(tree, listing):
            return
        self._below.update(prefixes)
        try:
            with listing.adding():
                self._add_folder(folder, listing)
        except _NOT_LISTED as error:
            # Rights are given folder by folder. What does not answer does not answer for the next one either.
            self._failed[folder if isinstance(error, ObjectsRefused) else prefixes[-1]] = error
            raise
        self._listed.add(folder)

    def _list_tree(self, prefix: str, listing: ObjectListing) -> bool:
        """List all below *prefix*. Return whether that can be done."""
        try:
            with listing.adding():
                self._add_tree(prefix, listing)
        except (_TooLarge, *_NOT_LISTED):
            # Rights may be given for its folders alone.
            self._never_whole.add(prefix)
            return False
        self._trees.add(prefix)
        return True

    def _add_tree(self, prefix: str, listing: ObjectListing) -> None:
        count = 0
        for page in self._store.list_objects(prefix):
            listing.add(page)
            count += len(page)
            if count > LARGEST_TREE:
                raise _TooLarge

    def _add_folder(self, folder: str, listing: ObjectListing) -> None:
        """Add the objects of *folder*; large sub-folders are gone by without being listed to their ends."""
        after: str | None = None
        while True:
            after = self._add_until_passed(folder, listing, after)
            if after is None:
                return

    def _add_until_passed(self, folder: str, listing: ObjectListing, after: str | None) -> str | None:
        """Add objects behind *after*; return where to go on, because of a large sub-folder, or None."""
        passed, within = 0, None
        heeded: bool | None = None
        for page in filter(None, self._store.list_objects(folder, after=after)):
            if heeded is None:
                # A storage that begins again is read to its end, or it would be asked without end.
                heeded = after is None or page[0].address > after
            listing.add([one for one in page if one.address.find("/", len(folder)) < 0])
            last = page[-1].address.removeprefix(folder)
            inside = last.partition("/")[0] if "/" in last else None
            passed = passed + len(page) if inside is not None and inside == within else 0
            within = inside
            if passed >= PASSED and heeded:
                return f"{folder}{within}/{_LAST}"
        return None

    def _nearest_name(self, address: str) -> str:
        if not self._hints or self._listing is None:
            return ""
        self._hints -= 1
        folder = folder_of_object(address)
        neighbours = self._listing.neighbours(folder, _NEIGHBOURS)
        if not neighbours:
            return f" (there is nothing in {folder})"
        return did_you_mean(address.removeprefix(folder), (one.removeprefix(folder) for one in neighbours))


@contextmanager
def open_finder() -> Iterator[ObjectFinder]:
    """Give what finds the objects of buckets; nothing is asked until a row names one."""
    finder = ObjectFinder(RemoteStore())
    try:
        yield finder
    finally:
        finder.close()


def _prefixes_of(folder: str) -> list[str]:
    """Return *folder* and the prefixes that it is below, the nearest first and the bucket last."""
    root = parse_object_address(f"{folder}x").root
    found = [folder]
    while found[-1] != root:
        found.append(folder_of_object(found[-1][:-1]))
    return found
