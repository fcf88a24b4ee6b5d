"""What a check of rows costs whose pictures are in a bucket: `python -m tests.bench.object_cells`.

The bucket is a process of its own on loopback, which lists and holds nothing. CPU times are the check's.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import parse_qs, urlsplit
from urllib.request import urlopen

from tests.bench.measure import ENVIRON, measured
from tests.support.buckets import KEY, SECRET, environment_for

if TYPE_CHECKING:
    from collections.abc import Iterator

SIZES = 1_000, 10_000, 100_000, 1_000_000
PAGE = 1000
COUNTED = "/counted"
FOLDERS = {"together": 0, "apart": 1000}
"""Rows of a folder; 0: all of them are in one."""


class Cost(NamedTuple):
    """Of one check."""

    rows: int
    layout: str
    cpu: float
    peak_mb: float
    listings: int
    """Prefixes that were listed."""
    requests: int


def key_of(kind: str, number: int, layout: str) -> str:
    """Return the key of a row's picture or mask; keys are in the order of the rows."""
    folder = f"{number // FOLDERS[layout]:06}/" if FOLDERS[layout] else ""
    return f"{kind}/{folder}{number:08}.png"


class Handler(BaseHTTPRequestHandler):
    """Lists what every row names, without holding it."""

    protocol_version = "HTTP/1.1"
    rows, layout = 0, "together"
    asked: list[tuple[str, bool]]

    def do_GET(self) -> None:
        if self.path == COUNTED:
            begun = [prefix for prefix, first in self.asked if first]
            self._answer(f"{len(begun)} {len(self.asked)}")
            return
        query = {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}
        prefix = query.get("prefix", "")
        after = query.get("continuation-token") or query.get("start-after", "")
        self.asked.append((prefix, "continuation-token" not in query))
        keys = self._keys_behind(prefix, after)
        listed = "".join(
            f"<Contents><Key>{key}</Key><Size>4096</Size><ETag>&quot;{int(key[-12:-4]):032x}&quot;</ETag>"
            "<LastModified>2026-11-30T11:00:00.000Z</LastModified></Contents>"
            for key in keys
        )
        more = len(keys) == PAGE
        token = f"<NextContinuationToken>{keys[-1]}</NextContinuationToken>" if more else ""
        self._answer(
            '<?xml version="1.0"?><ListBucketResult>'
            f"<IsTruncated>{str(more).lower()}</IsTruncated>{token}{listed}</ListBucketResult>"
        )

    def _keys_behind(self, prefix: str, after: str) -> list[str]:
        """Return a page of the keys that begin with *prefix*, behind *after*."""
        kinds = [kind for kind in ("images", "masks") if f"{kind}/".startswith(prefix[: len(kind) + 1])]
        found: list[str] = []
        for kind in kinds:
            if kind < after.partition("/")[0]:
                continue
            number = int(after[-12:-4]) + 1 if after.startswith(kind) and after.endswith(".png") else 0
            if folder := re.match(rf"{kind}/(\d{{6}})/", prefix):
                number = max(number, int(folder[1]) * FOLDERS[self.layout])
            while number < self.rows and len(found) < PAGE:
                key = key_of(kind, number, self.layout)
                if not key.startswith(prefix):
                    break
                found.append(key)
                number += 1
        return found

    def _answer(self, text: str) -> None:
        content = text.encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the library's
        """Say nothing."""


def serve(rows: int, layout: str) -> None:
    """Serve the bucket until killed, and print its address."""
    Handler.rows, Handler.layout, Handler.asked = rows, layout, []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(f"http://127.0.0.1:{server.server_address[1]}", flush=True)
    server.serve_forever()


@contextmanager
def bucket(rows: int, layout: str) -> Iterator[str]:
    """Give the address of a bucket with two objects for each of *rows*."""
    command = [sys.executable, "-m", "tests.bench.object_cells", "--serve", str(rows), layout]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            yield server.stdout.readline().strip()
        finally:
            server.kill()


def measure(rows: int, layout: str) -> Cost:
    """Check a manifest of *rows* and return what that costs."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name, bucket(rows, layout) as address:
        folder = Path(name)
        with (folder / "night.csv").open("w", encoding="utf-8") as file:
            file.write("id,image,mask,prompt\n")
            for n in range(rows):
                image, mask = (f"s3://photos/{key_of(kind, n, layout)}" for kind in ("images", "masks"))
                file.write(f"r{n},{image},{mask},row {n}\n")
        around = {**ENVIRON, **environment_for(address, KEY, SECRET), "XDG_CACHE_HOME": name}
        used = measured("batchfill", "check", "night.csv", folder=folder, environ=around)
        with urlopen(address + COUNTED) as answer:
            listings, requests = map(int, answer.read().split())
    return Cost(rows, layout, used.cpu, used.peak_mb, listings, requests)


def main() -> None:
    """Measure what is asked for, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.object_cells", description=__doc__)
    parser.add_argument("--rows", type=int, default=SIZES[-1], metavar="N", help="of the largest check")
    parser.add_argument("--serve", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(int(options.serve[0]), options.serve[1])
        return
    print("| rows | folders | CPU | memory | prefixes listed | requests |\n|--:|---|--:|--:|--:|--:|")
    for layout in FOLDERS:
        for rows in (size for size in SIZES if size <= options.rows):
            cost = measure(rows, layout)
            folders = "one" if layout == "together" else f"one for {FOLDERS[layout]:,} rows"
            figures = f"{cost.cpu:.1f} s | {cost.peak_mb:.0f} MB | {cost.listings:,} | {cost.requests:,}"
            print(f"| {rows:,} | {folders} | {figures} |", flush=True)


if __name__ == "__main__":
    main()
