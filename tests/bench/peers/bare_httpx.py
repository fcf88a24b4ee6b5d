"""The same work as a bare httpx script: 100 in flight, a look every half second, no memory of anything.

`python -m tests.bench.peers.bare_httpx BASE MANIFEST FOLDER`
"""

from __future__ import annotations

import asyncio
import csv
import os
import sys
from pathlib import Path

import httpx

MODEL = "black-forest-labs/flux-fill-dev"
IN_FLIGHT = 100
LOOK_EVERY = 0.5


async def fill(client: httpx.AsyncClient, base: str, row: dict[str, str], folder: Path) -> None:
    """Have one row made, and save its picture."""
    name = row.pop("id")
    answer = await client.post(f"{base}/models/{MODEL}/predictions", json={"input": row})
    prediction = answer.raise_for_status().json()
    while prediction["status"] in ("starting", "processing"):
        await asyncio.sleep(LOOK_EVERY)
        answer = await client.get(f"{base}/predictions/{prediction['id']}")
        prediction = answer.raise_for_status().json()
    async with client.stream("GET", prediction["output"][0]) as answer:
        answer.raise_for_status()
        with (folder / f"{name}.webp").open("wb") as file:
            async for piece in answer.aiter_bytes():
                file.write(piece)


async def main(base: str, manifest: Path, folder: Path) -> None:
    """Have every row made."""
    with manifest.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    room = asyncio.Semaphore(IN_FLIGHT)
    headers = {"Authorization": f"Bearer {os.environ['REPLICATE_API_TOKEN']}"}
    async with httpx.AsyncClient(headers=headers, timeout=60) as client:

        async def one(row: dict[str, str]) -> None:
            async with room:
                await fill(client, base, row, folder)

        await asyncio.gather(*map(one, rows))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])))
