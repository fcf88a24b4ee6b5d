"""A batch of any size as it is after a night, none of which was run.

`python -m tests.bench.large_batch FOLDER --rows 100000` makes one. Every row has a local picture and a mask.
One in fifty failed, some are flagged, some decided.
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import sqlite3
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw

from batchfill.batch import Batch
from batchfill.emulator.emulator_server import EmulatorServer
from batchfill.ledger.location import LEDGER
from tests.bench.finished import finish
from tests.bench.manifest import NAME
from tests.bench.measure import TOKEN

if TYPE_CHECKING:
    from collections.abc import Callable

KINDS = 50
"""Different pictures, which the rows share."""
SIZE = 64, 48
SCRIPT = Path(__file__).with_name("large_batch.sql")


def draw(target: Path, shade: int | None) -> None:
    """Save a picture of a *shade*; None: a mask."""
    image = Image.new("L", SIZE) if shade is None else Image.new("RGB", SIZE, (shade * 2, 120, 200 - shade))
    ImageDraw.Draw(image).ellipse((16, 12, 48, 36), fill=255 if shade is None else (220, 90, shade))
    image.save(target)


def make_large_batch(
    folder: Path, rows: int, draw: Callable[[Path, int | None], None] = draw, suffix: str = ".png"
) -> Path:
    """Write a manifest of so many *rows* and its batch into *folder*; return the manifest.

    *draw* saves the pictures, whose names end with *suffix*, and the masks; numbers from KINDS on: outputs.
    """
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True)
    for kind in range(KINDS):
        draw(folder / "images" / f"{kind}{suffix}", kind)
        draw(folder / "masks" / f"{kind}.png", None)
    manifest = _write_manifest(folder, rows, suffix)
    asyncio.run(_begin(manifest, folder / "provider"))
    batch = manifest.with_suffix(".batch")
    finish(batch / LEDGER, rows)
    kinds = []
    for kind in range(KINDS):
        name = f"outputs/kind-{kind}{suffix}"
        draw(batch / name, kind + KINDS)
        kinds.append((kind, name, sha256((batch / name).read_bytes()).hexdigest()))
    with closing(sqlite3.connect(batch / LEDGER)) as db, db:
        db.execute("CREATE TEMP TABLE kinds (kind INTEGER PRIMARY KEY, file TEXT, sha256 TEXT)")
        db.executemany("INSERT INTO kinds VALUES (?, ?, ?)", kinds)
        for statement in SCRIPT.read_text("utf-8").split(";\n"):
            db.execute(statement)
    return manifest


async def _begin(manifest: Path, provider: Path) -> None:
    """Take the manifest in, and make its first row."""
    service = EmulatorServer(provider, token=TOKEN, tiny=True)
    await service.start()
    try:
        environ = {"BATCHFILL_TOKEN": TOKEN}
        await Batch.open(manifest, environ=environ, base_url=service.base, limit=1).run()
    finally:
        await service.stop()


def _write_manifest(folder: Path, rows: int, suffix: str) -> Path:
    with (folder / NAME).open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "image", "mask", "prompt"])
        for n in range(rows):
            kind = n % KINDS
            prompt = f"a ship in a storm, number {n}, oil on canvas, in the light of the evening"
            writer.writerow([f"row-{n:06}", f"images/{kind}{suffix}", f"masks/{kind}.png", prompt])
    return folder / NAME


def main() -> None:
    """Make one where the command line says."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.large_batch", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rows", type=int, default=100_000)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    print(make_large_batch(options.folder, options.rows))


if __name__ == "__main__":
    main()
