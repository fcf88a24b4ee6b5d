"""What is asked of a storage of objects, whichever it is."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

    from batchfill.domain.objects import ObjectFile


class ObjectStore(Protocol):
    """Buckets. Every call waits for the network, and is for a thread.

    All raise ObjectsRefused where these credentials get nothing there, NoAnswer where another try may work.
    """

    def list_objects(self, prefix: str, *, after: str | None = None) -> Iterator[list[ObjectFile]]:
        """Yield the objects below *prefix*, an address that ends with a slash, in the order of their keys.

        They come in pages, as few as there are. *after*: an address; objects up to it are left out.
        """

    def read_object(self, wanted: ObjectFile, target: IO[bytes]) -> None:
        """Write the content of *wanted* to *target*.

        Raises ObjectGone where it is gone or has become another; then *target* may hold anything.
        """


class ObjectWriter(Protocol):
    """Buckets that take something; every call as those of ObjectStore."""

    def put_object(self, address: str, content: bytes, *, mime: str) -> str | None:
        """Have *address* hold *content*, whatever it held; return its ETag, where the answer tells it.

        *mime*: what it is served as.
        """

    def copy_object(self, source: str, target: str) -> None:
        """Have *target* hold what *source*, in the same bucket, does, whatever it held. No byte comes here.

        Raises ObjectGone where *source* is gone.
        """

    def find_object(self, address: str) -> ObjectFile | None:
        """Return the object at *address* as it is now, to be read; None: there is none."""

    def remove_object(self, address: str) -> None:
        """Have no object at *address*, whether or not there was one."""

    def sign_read(self, address: str, *, seconds: float) -> str:
        """Return an address of http by which all who know it read the object, for so long: a secret."""
