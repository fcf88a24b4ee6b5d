"""A bucket server on loopback, which speaks as much of S3 as is asked for.

A *bucket server* counts what it is asked, and fails on demand: what it refuses or breaks off is a test's.
Real ones are in `tests.support.real_buckets`.
"""

from __future__ import annotations

import hashlib
import re
import threading
from collections import Counter
from contextlib import suppress
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape, unescape

import pytest

from batchfill.storage import remote_store
from batchfill.storage.mirror import mirror_bucket
from batchfill.storage.remote_store import store_at

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

KEY, SECRET = "AKIALOOPBACK", "wJalrXUtnFEMIK7MDENGbPxRfiCYLOOPBACK"

PAGE = 1000
_KEY = re.compile(r"<Key>([^<]*)</Key>")


def environment_for(address: str, key: str, secret: str) -> dict[str, str]:
    """Return what a user sets to reach the bucket server at *address*."""
    return {
        "AWS_ENDPOINT_URL": address,
        "AWS_ACCESS_KEY_ID": key,
        "AWS_SECRET_ACCESS_KEY": secret,
        "AWS_REGION": "us-east-1",
    }


class Failure(Exception):
    """An answer that the server gives instead."""

    def __init__(self, status: int, code: str = "", **headers: str) -> None:
        self.status, self.code, self.headers = status, code, headers


class BucketServer:
    """Objects by `bucket/key`."""

    def __init__(self, port: int = 0) -> None:
        self.forget()
        server = self

        class Handler(_Handler):
            bucket_server = server

        self._http = _Listener(("127.0.0.1", port), Handler)
        self._http.daemon_threads = True
        self.address = f"http://127.0.0.1:{self._http.server_address[1]}"
        threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True).start()

    def forget(self) -> None:
        """Be as new."""
        self.objects: dict[str, bytes] = {}
        self.buckets = {"photos"}
        self.asked: Counter[str] = Counter()
        """How many requests of each kind there were: list, get, put, copy, delete, head.

        Signed: a get by an address alone.
        """
        self.own: Counter[str] = Counter()
        """Those of them that came over a socket of this process, where the system tells that."""
        self.own_bytes: Counter[str] = Counter()
        """Bytes of objects, by `bucket/key`, that went over such a socket, whatever the direction."""
        self.tells_own = False
        """Whether that is found out, which takes longer than an answer."""
        self.mimes: dict[str, str] = {}
        """What an object that was put is served as."""
        self.listed: list[str] = []
        """The prefix of each listing that was begun, its further pages left out."""
        self.fail: Callable[[str, str], Failure | None] = lambda kind, key: None
        """Asked with the kind and `bucket/key` of each request."""
        self.told: Callable[[str], None] = lambda place: None
        """Told of `bucket/key` once something was put or copied there, before the answer to that."""
        self.tag: Callable[[str, bytes], str] = lambda place, content: etag_of(content)
        """Returns the ETag of `bucket/key` with its content."""
        self.copied: Callable[[bytes], bytes] = bytes
        """Returns what becomes of content that is copied."""
        self.putting = threading.Lock()
        self.obeys_conditions = True
        self.lists_tags = self.gives_tags = True
        self.changed_at = "11:00:00"
        """Of every object, in UTC."""
        self.fraction = ".123"
        """Of a second, which a listing alone tells."""
        self.cuts: set[str] = set()
        """Objects of which only the half is sent."""

    @property
    def environment(self) -> dict[str, str]:
        """What a user sets to reach it."""
        return environment_for(self.address, KEY, SECRET)

    def put(self, key: str, content: bytes, bucket: str = "photos") -> str:
        """Store an object and return its address."""
        self.objects[f"{bucket}/{key}"] = content
        return f"s3://{bucket}/{key}"

    def refuse(self, kind: str, place: str) -> None:
        """Raise the failure that a request is to meet."""
        if failure := self.fail(kind, place):
            raise failure
        if place.partition("/")[0] not in self.buckets:
            raise Failure(404, "NoSuchBucket")

    def close(self) -> None:
        """Answer no more."""
        self._http.shutdown()
        self._http.server_close()


def is_own_socket(port: int) -> bool:
    """Whether the connection from *port* of loopback was made by this process, by what Linux tells."""
    with suppress(OSError):
        local = f"0100007F:{port:04X}"
        lines = [line.split() for line in Path("/proc/self/net/tcp").read_text("ascii").splitlines()]
        inodes = {f"socket:[{fields[9]}]" for fields in lines if fields[1] == local}
        for name in Path("/proc/self/fd").iterdir():
            with suppress(OSError):
                if str(name.readlink()) in inodes:
                    return True
    return False


def etag_of(content: bytes) -> str:
    """Return the ETag of *content*, without its quotes."""
    return hashlib.md5(content).hexdigest()


class _Listener(ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: clients are killed."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    bucket_server: BucketServer

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        place = unquote(parts.path).removeprefix("/")
        kind = "list" if "list-type" in query else "signed" if "X-Amz-Signature" in query else "get"
        asked = place + "/" * (kind == "list") + query.get("prefix", "")
        self._serve(kind, asked, lambda: self._list(place, query) if kind == "list" else self._get(place))

    def do_PUT(self) -> None:
        place = unquote(urlsplit(self.path).path).removeprefix("/")
        content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        source = self.headers.get("x-amz-copy-source")
        if source is not None:
            source = unquote(source).removeprefix("/")
            self._serve("copy", place, lambda: self._copy(source, place))
            return
        self._serve("put", place, lambda: self._put(place, content), taken=len(content))

    def do_HEAD(self) -> None:
        place = unquote(urlsplit(self.path).path).removeprefix("/")
        self._serve("head", place, lambda: self._get(place))

    def do_POST(self) -> None:
        # How objects are removed, several at once.
        bucket = unquote(urlsplit(self.path).path).strip("/")
        keys = _KEY.findall(self.rfile.read(int(self.headers["Content-Length"])).decode())
        places = [f"{bucket}/{unescape(key)}" for key in keys]
        self._serve("delete", places[0], lambda: self._delete(places))

    def _delete(self, places: list[str]) -> tuple[bytes, dict[str, str]]:
        for place in places:
            self.bucket_server.objects.pop(place, None)
        gone = "".join(f"<Deleted><Key>{escape(place.partition('/')[2])}</Key></Deleted>" for place in places)
        return f'<?xml version="1.0"?><DeleteResult>{gone}</DeleteResult>'.encode(), {}

    def _serve(
        self, kind: str, asked: str, answer: Callable[[], tuple[bytes, dict[str, str]]], *, taken: int = 0
    ) -> None:
        """Count a request and answer it, with the failure that it is to meet where there is one.

        *taken*: bytes that came with it.
        """
        server = self.bucket_server
        server.asked[kind] += 1
        own = server.tells_own and is_own_socket(self.client_address[1])
        server.own[kind] += own
        try:
            server.refuse(kind, asked)
            content, headers = answer()
        except Failure as failure:
            body = f"<Error><Code>{failure.code}</Code></Error>" if failure.code else ""
            self._answer(failure.status, body.encode(), failure.headers)
        else:
            if own and kind in ("get", "signed", "put"):
                server.own_bytes[asked] += taken + len(content)
            self._answer(200, content, headers, cut=asked in server.cuts)

    def _put(self, place: str, content: bytes) -> tuple[bytes, dict[str, str]]:
        server = self.bucket_server
        with server.putting:
            if (
                server.obeys_conditions
                and self.headers.get("If-None-Match") == "*"
                and place in server.objects
            ):
                raise Failure(412, "PreconditionFailed")
            server.objects[place] = content
            server.mimes[place] = self.headers["Content-Type"]
        server.told(place)
        return b"", {"ETag": f'"{server.tag(place, content)}"'}

    def _copy(self, source: str, place: str) -> tuple[bytes, dict[str, str]]:
        server = self.bucket_server
        with server.putting:
            if source not in server.objects:
                raise Failure(404, "NoSuchKey")
            server.objects[place] = server.copied(server.objects[source])
            server.mimes[place] = server.mimes[source]
        server.told(place)
        told = escape(f'"{server.tag(place, server.objects[place])}"', {'"': "&quot;"})
        return f'<?xml version="1.0"?><CopyObjectResult><ETag>{told}</ETag></CopyObjectResult>'.encode(), {}

    def _get(self, place: str) -> tuple[bytes, dict[str, str]]:
        server = self.bucket_server
        if place not in server.objects:
            raise Failure(404, "NoSuchKey")
        content = server.objects[place]
        tag = f'"{server.tag(place, content)}"'
        if server.obeys_conditions and self.headers.get("If-Match", tag) != tag:
            raise Failure(412, "PreconditionFailed")
        told = {"ETag": tag} if server.gives_tags else {}
        return content, {**told, "Last-Modified": f"Mon, 30 Nov 2026 {server.changed_at} GMT"}

    def _list(self, bucket: str, query: dict[str, str]) -> tuple[bytes, dict[str, str]]:
        server = self.bucket_server
        prefix = query.get("prefix", "")
        after = query.get("continuation-token") or query.get("start-after", "")
        if "continuation-token" not in query:
            server.listed.append(f"{bucket}/{prefix}")
        names = (name.removeprefix(f"{bucket}/") for name in server.objects if name.startswith(f"{bucket}/"))
        keys = sorted((k for k in names if k.startswith(prefix) and k > after), key=str.encode)
        page, more = keys[:PAGE], len(keys) > PAGE
        rows = "".join(self._listed(bucket, key) for key in page)
        token = f"<NextContinuationToken>{escape(page[-1])}</NextContinuationToken>" if more else ""
        text = f"<IsTruncated>{str(more).lower()}</IsTruncated>{token}{rows}"
        return f'<?xml version="1.0"?><ListBucketResult>{text}</ListBucketResult>'.encode(), {}

    def _listed(self, bucket: str, key: str) -> str:
        server, place = self.bucket_server, f"{bucket}/{key}"
        content = server.objects[place]
        tag = f"<ETag>&quot;{server.tag(place, content)}&quot;</ETag>" if server.lists_tags else ""
        facts = f"<Key>{escape(key)}</Key><Size>{len(content)}</Size>{tag}"
        changed = f"<LastModified>2026-11-30T{server.changed_at}{server.fraction}Z</LastModified>"
        return f"<Contents>{facts}{changed}</Contents>"

    def _answer(self, status: int, content: bytes, headers: dict[str, str], *, cut: bool = False) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content[: len(content) // 2] if cut else content)
        self.close_connection = self.close_connection or cut

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the library's
        """Say nothing."""


@pytest.fixture
def buckets(monkeypatch: pytest.MonkeyPatch) -> Iterator[BucketServer]:
    """Serve buckets, and set the environment to it; see BucketServer."""
    server = BucketServer()
    reach(server, monkeypatch)
    yield server
    server.close()


def reach(server: BucketServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Set the environment to *server*, whose failures are soon met again."""
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    first, longest = timedelta(milliseconds=5), timedelta(milliseconds=20)
    backoff = {"init_backoff": first, "max_backoff": longest, "base": 2}
    for retries in (remote_store._RETRIES, mirror_bucket._RETRIES):
        monkeypatch.setitem(retries, "backoff", backoff)
    store_at.cache_clear()


def without_credentials(monkeypatch: pytest.MonkeyPatch, server: BucketServer) -> None:
    """Take the credentials away; the role of the machine is asked for on loopback, and there is none."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_METADATA_ENDPOINT", server.address)
