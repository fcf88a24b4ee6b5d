"""The same work with the official client: 100 in flight, its own wait (a look every half second).

`python -m tests.bench.peers.official BASE MANIFEST FOLDER`
"""

from __future__ import annotations

import asyncio
import csv
import os
import sys
from pathlib import Path
from typing import Any

from replicate.client import Client
from replicate.helpers import FileOutput

MODEL = "black-forest-labs/flux-fill-dev"
IN_FLIGHT = 100


async def fill(client: Client, row: dict[str, str], folder: Path) -> None:
    """Have one row made, and save its picture."""
    name = row.pop("id")
    urls: Any = await client.async_run(MODEL, input=row, wait=False)
    with (folder / f"{name}.webp").open("wb") as file:
        # It makes one of an https address by itself.
        async for piece in FileOutput(urls[0], client):
            file.write(piece)


async def main(base: str, manifest: Path, folder: Path) -> None:
    """Have every row made."""
    with manifest.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    room = asyncio.Semaphore(IN_FLIGHT)
    # It knows the version in the path itself.
    client = Client(os.environ["REPLICATE_API_TOKEN"], base_url=base.removesuffix("/v1"))

    async def one(row: dict[str, str]) -> None:
        async with room:
            await fill(client, row, folder)

    await asyncio.gather(*map(one, rows))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])))
