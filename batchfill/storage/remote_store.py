"""Buckets at Amazon S3 and what speaks like it, at Google and at Azure.

The library takes their credentials from the environment, or from the role of the machine, by itself.
"""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from hashlib import sha256
from threading import Lock
from typing import IO, TYPE_CHECKING, Any, Generic, TypeVar
from urllib.parse import urlsplit

from batchfill.domain.objects import BY_CONTENT, ObjectFile, parse_object_address
from batchfill.errors import NoAnswer, ObjectGone, ObjectsRefused
from batchfill.settings.addresses import is_loopback
from batchfill.storage.store_errors import explain_error, explain_panic
from batchfill.storage.store_variables import ENDPOINTS, find_unfit_variable, found_at

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

Task = TypeVar("Task")
Answer = TypeVar("Answer")

PAGE = 1000
"""Objects that a storage lists at once."""
_RETRIES = {"max_retries": 3, "retry_timeout": timedelta(seconds=30)}
"""A run tries again by itself, and a check is to say soon what is wrong."""
_READ, _WRITE = "30s", "600s"
"""For one request: what is written has to go out whole, over a line that may be slow."""
_PANIC = "PanicException"
"""What the library raises where it breaks off; it is no Exception, and no module has it."""
_UNTAGGED = "modified "
"""How the version of an object begins that its storage lists without an ETag."""
_TO_THE_SECOND = len(_UNTAGGED) + len("2026-11-30T11:00:00")


class RemoteStore:
    """The buckets that this machine reaches; see ObjectStore and ObjectWriter."""

    def __init__(self, server: str | None = None) -> None:
        """*server*: where `s3://` addresses are; None: where the environment says."""
        self._server = server
        self._buckets: dict[tuple[str, str], Any] = {}
        self._opening = Lock()

    def list_objects(self, prefix: str, *, after: str | None = None) -> Iterator[list[ObjectFile]]:
        """Yield pages of the objects below *prefix*; see ObjectStore."""
        root = parse_object_address(f"{prefix}x").root
        key = prefix.removeprefix(root)
        offset = None if after is None else after.removeprefix(root)
        with explained(prefix, "be listed"):
            for page in self._bucket(root).list(key or None, offset=offset, chunk_size=PAGE):
                yield [ObjectFile(root + one["path"], one["size"], _version_of(one)) for one in page]

    def read_object(self, wanted: ObjectFile, target: IO[bytes]) -> None:
        """Write the content of *wanted* to *target*; see ObjectStore."""
        where = parse_object_address(wanted.address)
        told = f'"{wanted.etag}"'
        condition = {} if wanted.etag.startswith((_UNTAGGED, BY_CONTENT)) else {"if_match": told}
        with explained(wanted.address, "be read"):
            found = self._bucket(where.root).get(where.key, options=condition)
            chunks = iter(found)
        size = found.meta["size"]
        # A storage that knows no conditions answers all the same.
        if not _is_version(found.meta, wanted):
            raise ObjectGone(f"{wanted.address} is not the object that was listed")
        by_content = wanted.etag.startswith(BY_CONTENT)
        read, digest = 0, sha256()
        while True:
            with explained(wanted.address, "be read"):
                chunk = next(chunks, None)
            if chunk is None:
                break
            read += target.write(chunk)
            if by_content:
                digest.update(chunk)
        if read != size:
            raise NoAnswer(f"{wanted.address} cannot be read: {read:,} of {size:,} bytes came")
        if by_content and wanted.etag != f"{BY_CONTENT}{digest.hexdigest()}":
            raise ObjectGone(f"{wanted.address} is not what was put there")

    def put_object(self, address: str, content: bytes, *, mime: str) -> str | None:
        """Have *address* hold *content*; see ObjectWriter."""
        where = parse_object_address(address)
        try:
            with explained(address, "be written"):
                # In one request: a process that dies in the middle of it leaves nothing.
                made = self._bucket(where.root, within=_WRITE).put(
                    where.key, content, attributes={"Content-Type": mime}, use_multipart=False
                )
        except ObjectGone:
            raise ObjectsRefused(f"{address} cannot be written: there is no such place") from None
        return None if made["e_tag"] is None else _bare_tag(made["e_tag"])

    def copy_object(self, source: str, target: str) -> None:
        """Have *target* hold what *source* does; see ObjectWriter."""
        here, there = parse_object_address(source), parse_object_address(target)
        assert here.root == there.root
        with explained(source, f"be copied to {target}"):
            self._bucket(here.root, within=_WRITE).copy(here.key, there.key)

    def find_object(self, address: str) -> ObjectFile | None:
        """Return the object at *address*; see ObjectWriter."""
        where = parse_object_address(address)
        try:
            with explained(address, "be asked for"):
                found = self._bucket(where.root).head(where.key)
        except ObjectGone:
            return None
        return ObjectFile(address, found["size"], _version_of(found))

    def remove_object(self, address: str) -> None:
        """Have no object at *address*; see ObjectWriter."""
        where = parse_object_address(address)
        with suppress(ObjectGone), explained(address, "be removed"):
            self._bucket(where.root).delete(where.key)

    def sign_read(self, address: str, *, seconds: float) -> str:
        """Return a signed address of the object; see ObjectWriter."""
        where = parse_object_address(address)
        with explained(address, "be signed"):
            from obstore import sign

            signed: str = sign(self._bucket(where.root), "GET", where.key, timedelta(seconds=seconds))
        return signed

    def _bucket(self, root: str, *, within: str = _READ) -> Any:
        with self._opening:
            if (root, within) not in self._buckets:
                self._buckets[root, within] = open_bucket(root, within, server=self._server)
            return self._buckets[root, within]


_SERVER: ContextVar[str | None] = ContextVar("server", default=None)
"""Where the work at hand finds `s3://` addresses."""


def store_of_process() -> RemoteStore:
    """Return the one that all tasks of a worker share, and its connections with it."""
    return store_at(_SERVER.get())


@cache
def store_at(server: str | None) -> RemoteStore:
    """Return the store of this process for *server*; see RemoteStore."""
    return RemoteStore(server)


@dataclass(frozen=True, slots=True)
class AtServer(Generic[Task, Answer]):
    """Work that finds `s3://` addresses at *server*, whatever the machine says that does it."""

    work: Callable[[Task], Answer]
    server: str

    def __call__(self, task: Task) -> Answer:
        """Do it. A thread of a worker has a context of its own, so others are not concerned."""
        before = _SERVER.set(self.server)
        try:
            return self.work(task)
        finally:
            _SERVER.reset(before)


def open_bucket(
    root: str, within: str, retries: Mapping[str, Any] = _RETRIES, *, server: str | None = None
) -> Any:
    """Return the library's way to the bucket *root*; *within*: how long a request may take.

    *retries*: the library's own. *server*: see RemoteStore. Raises ObjectsRefused.
    """
    from obstore.store import from_url

    if (unfit := find_unfit_variable(root.partition(":")[0], os.environ)) is not None:
        raise ObjectsRefused(f"{root} cannot be reached: {unfit}")
    with found_at(server):
        endpoint = next(filter(None, map(os.environ.get, ENDPOINTS)), "")
        options: dict[str, Any] = {"connect_timeout": "5s", "timeout": within}
        if is_loopback(urlsplit(endpoint).hostname or ""):
            options["allow_http"] = True
        return from_url(root, client_options=options, retry_config=retries)  # type: ignore[call-overload]


@contextmanager
def explained(where: str, failed: str) -> Iterator[None]:
    """Raise what the library raises inside as an error of ours, which tells no query and no header."""
    try:
        from obstore.exceptions import BaseError
    except ImportError:
        scheme = where.partition(":")[0]
        raise ObjectsRefused(
            f"{scheme}:// addresses need an extra of batchfill: pip install 'batchfill[remote]'"
        ) from None
    try:
        yield
    except (BaseError, OSError, ValueError) as error:
        raise explain_error(error, f"{where} cannot {failed}") from None
    except BaseException as error:
        if type(error).__name__ != _PANIC:
            raise
        raise explain_panic(f"{where} cannot {failed}") from None


def tag_of(found: ObjectFile) -> str | None:
    """Return the ETag of an object that was found; None: its storage gives none."""
    return None if found.etag.startswith(_UNTAGGED) else found.etag


def _version_of(meta: Mapping[str, Any]) -> str:
    """Return what tells a version of an object from others."""
    tag: str | None = meta["e_tag"]
    return _time_of(meta) if tag is None else _bare_tag(tag)


def _bare_tag(tag: str) -> str:
    return tag.removeprefix("W/").strip('"')


def _is_version(meta: Mapping[str, Any], wanted: ObjectFile) -> bool:
    """Whether what is about to be read is *wanted*, as far as that is known before it is read."""
    if wanted.etag.startswith(BY_CONTENT):
        return True
    if meta["size"] != wanted.size:
        return False
    if wanted.etag.startswith(_UNTAGGED):
        # The header of what is read tells whole seconds, and may tell a tag that the listing does not.
        return _time_of(meta)[:_TO_THE_SECOND] == wanted.etag[:_TO_THE_SECOND]
    return _version_of(meta) == wanted.etag


def _time_of(meta: Mapping[str, Any]) -> str:
    return f"{_UNTAGGED}{meta['last_modified']:%Y-%m-%dT%H:%M:%S.%f}"
