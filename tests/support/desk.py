"""The user's folder.

The *desk* holds pictures, masks and manifests.
"""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image, ImageDraw

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


class Desk:
    """The folder in which a user keeps pictures and manifests."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def picture(self, name: str, *, size: tuple[int, int] = (64, 48), shade: int = 90) -> str:
        """Save a small picture with a mask of the same name; return the picture's name."""
        for place, background, patch in (("images", (shade, 120, 200), (200, 60, 30)), ("masks", 0, 255)):
            target = self.folder / place / name
            target.parent.mkdir(parents=True, exist_ok=True)
            image = Image.new("L" if place == "masks" else "RGB", size, background)
            ImageDraw.Draw(image).rectangle((16, 12, 48, 36), fill=patch)
            image.save(target)
        return name

    def rows(self, count: int, **cells: str) -> list[dict[str, str]]:
        """Return rows r1, r2, … of one small picture, each with a prompt of its own and these *cells*.

        Their outputs stay as they come, unless *cells* have them finished.
        """
        name = self.picture("a.png")
        files = {"image": f"images/{name}", "mask": f"masks/{name}"}
        return [
            {"id": f"r{n}", **files, "prompt": f"picture {n}", "finish": "raw", **cells}
            for n in range(1, count + 1)
        ]

    def exact_rows(
        self, count: int, size: tuple[int, int], hole: tuple[int, int, int, int], **cells: str
    ) -> list[dict[str, str]]:
        """Return rows that ask for finished pictures of a photograph with noise in it, and these *cells*."""
        noise = np.random.default_rng(5).integers(0, 256, (*size[::-1], 3), np.uint8)
        mask = Image.new("L", size)
        mask.paste(255, hole)
        for name, image in (("images/p.png", Image.fromarray(noise)), ("masks/p.png", mask)):
            (self.folder / name).parent.mkdir(exist_ok=True)
            image.save(self.folder / name)
        files = {"image": "images/p.png", "mask": "masks/p.png", "finish": "exact"}
        return [{"id": f"r{n}", **files, "prompt": f"picture {n}", **cells} for n in range(1, count + 1)]

    def write(self, rows: Sequence[Mapping[str, str]], name: str = "night.csv", **head: object) -> Path:
        """Write a CSV manifest, or with a *head* a YAML manifest next to it; return the one to run."""
        table = self.folder / name
        columns = list(dict.fromkeys(column for row in rows for column in row))
        with table.open("w", encoding="utf-8", newline="") as stream:
            writer = csv.DictWriter(stream, columns)
            writer.writeheader()
            writer.writerows(rows)
        if not head:
            return table
        manifest = table.with_suffix(".yaml")
        settings = [f"{key}: {value}" for key, value in head.items()]
        manifest.write_text("\n".join([*settings, f"rows: {name}", ""]), "utf-8")
        return manifest


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """The user's folder."""
    folder = tmp_path / "desk"
    folder.mkdir()
    return Desk(folder)
