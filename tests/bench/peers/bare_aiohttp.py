"""The same work as a bare aiohttp script: 100 in flight, a look every half second, no memory of anything.

`python -m tests.bench.peers.bare_aiohttp BASE MANIFEST FOLDER`
"""

from __future__ import annotations

import asyncio
import csv
import os
import sys
from pathlib import Path

import aiohttp

MODEL = "black-forest-labs/flux-fill-dev"
IN_FLIGHT = 100
LOOK_EVERY = 0.5


async def fill(session: aiohttp.ClientSession, base: str, row: dict[str, str], folder: Path) -> None:
    """Have one row made, and save its picture."""
    name = row.pop("id")
    async with session.post(f"{base}/models/{MODEL}/predictions", json={"input": row}) as answer:
        answer.raise_for_status()
        prediction = await answer.json()
    while prediction["status"] in ("starting", "processing"):
        await asyncio.sleep(LOOK_EVERY)
        async with session.get(f"{base}/predictions/{prediction['id']}") as answer:
            answer.raise_for_status()
            prediction = await answer.json()
    async with session.get(prediction["output"][0]) as answer:
        answer.raise_for_status()
        with (folder / f"{name}.webp").open("wb") as file:
            async for piece in answer.content.iter_chunked(65536):
                file.write(piece)


async def main(base: str, manifest: Path, folder: Path) -> None:
    """Have every row made."""
    with manifest.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    room = asyncio.Semaphore(IN_FLIGHT)
    headers = {"Authorization": f"Bearer {os.environ['REPLICATE_API_TOKEN']}"}
    connector = aiohttp.TCPConnector(limit=IN_FLIGHT)
    async with aiohttp.ClientSession(headers=headers, connector=connector) as session:

        async def one(row: dict[str, str]) -> None:
            async with room:
                await fill(session, base, row, folder)

        await asyncio.gather(*map(one, rows))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])))
