"""How soon the page of a large batch shows that a row has ended: `python -m tests.bench.large_page`."""

from __future__ import annotations

import argparse
import asyncio
import sqlite3
import sys
import tempfile
import time
from contextlib import asynccontextmanager, closing
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import aiohttp

from batchfill.ledger.location import LEDGER
from tests.bench.large_batch import make_large_batch
from tests.bench.measure import ENVIRON

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ENDS = 20
"""Rows that end, one after the other."""
REVIEW = (sys.executable, "-m", "batchfill", "review", "--no-open")
END = "UPDATE rows SET state = 'failed', error = 'ended just now', since = ? WHERE id = ?"


async def measure_ends(manifest: Path, rows: int) -> list[float]:
    """Return for each end the seconds from its commit until an open page was told."""
    jar = aiohttp.CookieJar(unsafe=True)  # takes a cookie of an address without a name
    async with _serving(manifest) as address, aiohttp.ClientSession(cookie_jar=jar) as browser:
        base = address.partition("?")[0].rstrip("/")
        (await browser.get(address)).release()
        edition = await _until_whole(browser, base)
        async with browser.get(f"{base}/events?since={edition}", timeout=None) as events:
            every = range(rows // (2 * ENDS), rows, rows // ENDS)
            return [await _time_end(manifest, f"row-{n:06}", events.content) for n in every]


@asynccontextmanager
async def _serving(manifest: Path) -> AsyncIterator[str]:
    """Serve the page of *manifest* meanwhile, and give the address that lets a browser in."""
    pipe = asyncio.subprocess.PIPE
    server = await asyncio.create_subprocess_exec(
        *REVIEW, manifest.name, cwd=manifest.parent, env=ENVIRON, stdout=pipe
    )
    assert server.stdout is not None
    try:
        yield (await server.stdout.readline()).decode().strip()
    finally:
        server.terminate()
        await server.wait()


async def _until_whole(browser: aiohttp.ClientSession, base: str) -> int:
    """Return the edition of the page once every row was read."""
    while True:
        async with browser.get(f"{base}/head.json") as answer:
            head = await answer.json()
        if head["pictures"] is not None:
            return int(head["edition"])
        await asyncio.sleep(0.5)


async def _time_end(manifest: Path, id_: str, events: aiohttp.StreamReader) -> float:
    with closing(sqlite3.connect(manifest.with_suffix(".batch") / LEDGER)) as db, db:
        db.execute(END, (time.time(), id_))
    committed = time.monotonic()
    seen = b""
    while f'"{id_}"'.encode() not in seen:
        # What was read before is of no use, but for half of an id.
        seen = seen[-100:] + await events.readany()
    return time.monotonic() - committed


def main() -> None:
    """Make a batch, end rows of it, and say how soon that was seen."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.large_page", description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    rows: int = parser.parse_args().rows
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        took = asyncio.run(measure_ends(make_large_batch(Path(folder), rows), rows))
    print(f"{rows:,} rows: an end is seen after {median(took):.2f} s, {max(took):.2f} s at most")


if __name__ == "__main__":
    main()
