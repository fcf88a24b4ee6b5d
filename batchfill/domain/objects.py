"""Objects in buckets: what a row names there, and as it was when it was listed."""

from __future__ import annotations

import re
from hashlib import sha256
from typing import NamedTuple

from batchfill.errors import cut_short

SCHEMES = ("s3", "gs", "az")
"""How the address of an object begins: Amazon S3 and what speaks like it, Google Cloud Storage, Azure."""

_OBJECT = re.compile(rf"({'|'.join(SCHEMES)})://", re.IGNORECASE)
_WHOLE = re.compile(rf"({'|'.join(SCHEMES)})://([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)/(.*)", re.DOTALL)


_SIGNED = re.compile(r"[?&](?:sig|signature|awsaccesskeyid|x-(?:amz|goog)-[a-z-]+)=", re.IGNORECASE)
"""What a key does not hold, unless the user pasted the address of a signed request."""


BY_CONTENT = "sha256 "
"""How the version of an object begins that is told by its content alone, whatever its ETag and its size."""


class ObjectAddress(NamedTuple):
    """Where an object is. Its key is literal: nothing in it is escaped, and `?` and `#` belong to it."""

    scheme: str
    bucket: str
    key: str

    @property
    def root(self) -> str:
        """The bucket's own address, with the slash at its end."""
        return f"{self.scheme}://{self.bucket}/"


class ObjectFile(NamedTuple):
    """An object as it was when its bucket was listed: its ETag stands for its content, which is not known."""

    address: str
    """`s3://bucket/key`."""
    size: int
    """Bytes; 0: not known."""
    etag: str
    """As the storage gives it, without quotes; or what else tells its version."""

    @property
    def digest(self) -> str:
        """64 hex digits that stand for its content: equal ones are the same version of the same object."""
        return sha256("\n".join((self.address, str(self.size), self.etag)).encode()).hexdigest()

    @property
    def name(self) -> str:
        """The last part of its address."""
        return self.address.rpartition("/")[2]


class RemoteFile(NamedTuple):
    """A file of the batch that is to be below the address of --outputs."""

    file: str
    """Relative to that, and to the batch folder, with forward slashes."""
    wanted: str | None
    """The SHA-256 of what is to be there; None: nothing any more."""


class RemoteMove(NamedTuple):
    """Content that is there under one name and is wanted under another."""

    source: str
    target: str
    sha256: str


class RemoteCopy(NamedTuple):
    """What was put of a file."""

    sha256: str
    etag: str | None
    """As the answer told it; None: not known."""


def object_of_content(address: str, sha256: str) -> ObjectFile:
    """Return the object at *address* that has this content."""
    return ObjectFile(address, 0, f"{BY_CONTENT}{sha256}")


def is_object_address(address: str) -> bool:
    """Whether *address* is meant to be one of an object in a bucket."""
    return _OBJECT.match(address) is not None


def parse_object_address(address: str) -> ObjectAddress:
    """Return the parts of *address*. Raises ValueError with what is wrong with it, without secrets of it."""
    scheme = address.partition(":")[0]
    bucket = address.partition("://")[2].partition("/")[0]
    # A secret key may hold a slash, so that its @ lies behind it.
    if "@" in bucket or ":" in bucket:
        raise ValueError(
            f"{scheme}: an address names a bucket and an object, and no keys: they come from the environment"
        )
    if _SIGNED.search(address):
        raise ValueError(
            f"{scheme}: an address of an object takes no signature: credentials come from the environment"
        )
    whole = _WHOLE.fullmatch(address)
    if whole is None:
        raise ValueError(
            f"{cut_short(address)} is no address of an object: write {scheme.lower()}://BUCKET/KEY"
        )
    found = ObjectAddress(*whole.groups())
    if not found.key or found.key.endswith("/"):
        raise ValueError(f"{cut_short(address)} is a folder, not an object")
    if not {"", ".", ".."}.isdisjoint(found.key.split("/")):
        raise ValueError(f"{cut_short(address)} has an empty part, . or .. in its key: give it another key")
    if not found.key.isprintable():
        raise ValueError(f"{cut_short(address)!r} has a character in its key that cannot be shown")
    return found


def read_outputs_address(text: str) -> str:
    """Return where outputs go to, with the slash at its end. Raises ValueError with what is wrong."""
    root = f"{text.strip().rstrip('/')}/"
    if not is_object_address(root):
        raise ValueError("must be an address such as s3://BUCKET/FOLDER/: s3://, gs:// or az://")
    try:
        parse_object_address(f"{root}any")
    except ValueError as error:
        raise ValueError(f"cannot be used: {error}") from None
    return root


def folder_of_object(address: str) -> str:
    """Return what *address* has in common with its neighbours, with the slash at its end."""
    return address[: address.rindex("/") + 1]
