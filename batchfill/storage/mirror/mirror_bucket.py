"""The objects of a mirror, by their names below its address."""

from __future__ import annotations

from datetime import timedelta
from itertools import chain
from typing import TYPE_CHECKING, Any

from batchfill.domain.objects import parse_object_address
from batchfill.storage.remote_store import PAGE, explained, open_bucket

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_RETRIES = {"max_retries": 1, "retry_timeout": timedelta(seconds=5)}
"""Commits wait meanwhile, and the mirror tries again by itself."""
_WITHIN = "30s"
"""For which a request may take, a part of a large copy among them."""
AT_ONCE = 4 * 1024 * 1024
"""Bytes up to which an object is sent by one request."""


class MirrorBucket:
    """One prefix of a bucket. Every call waits for the network, and is for a thread.

    All raise ObjectsRefused where these credentials get nothing there, NoAnswer where another try may work.
    """

    def __init__(self, address: str) -> None:
        """*address* ends with a slash: `s3://bucket/night/`. Raises ObjectsRefused."""
        self.address = address
        root = parse_object_address(f"{address}x").root
        self._prefix = address.removeprefix(root)
        with explained(address, "be opened"):
            self._bucket: Any = open_bucket(root, _WITHIN, _RETRIES)

    def list_names(self) -> list[str]:
        """Return the names of all objects, in order."""
        found: list[str] = []
        with explained(self.address, "be listed"):
            for page in self._bucket.list(self._prefix or None, chunk_size=PAGE):
                found += (one["path"].removeprefix(self._prefix) for one in page)
        return sorted(found)

    def read(self, name: str) -> bytes:
        """Return the content of an object. Raises ObjectGone."""
        with explained(self._address_of(name), "be read"):
            return bytes(self._bucket.get(self._prefix + name).bytes())

    def read_pieces(self, name: str) -> Iterator[bytes]:
        """Yield the content of an object in pieces. Raises ObjectGone."""
        with explained(self._address_of(name), "be read"):
            for piece in self._bucket.get(self._prefix + name):
                yield bytes(piece)

    def create(self, name: str, content: bytes) -> bool:
        """Make an object where there is none of the name; False: there is one, and it is as it was."""
        from obstore.exceptions import AlreadyExistsError

        with explained(self._address_of(name), "be written"):
            try:
                self._bucket.put(self._prefix + name, content, mode="create")
            except AlreadyExistsError:
                return False
        return True

    def write(self, name: str, pieces: Iterator[bytes]) -> None:
        """Make an object, whole or not at all, whether there is one of the name or not."""
        first, size = [], 0
        for piece in pieces:
            first.append(piece)
            size += len(piece)
            if size > AT_ONCE:
                break
        # The library takes three requests for what comes in pieces, and one for what comes at once.
        content = chain(first, pieces) if size > AT_ONCE else b"".join(first)
        with explained(self._address_of(name), "be written"):
            self._bucket.put(self._prefix + name, content)

    def remove(self, names: Sequence[str]) -> None:
        """Remove objects; those that are gone already are none the less."""
        with explained(self.address, "be cleared"):
            if names:
                self._bucket.delete([self._prefix + name for name in names])

    def _address_of(self, name: str) -> str:
        return f"{self.address}{name}"
