"""Makes the pictures of the pages from the samples: `python -m tests.docs.page_pictures`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from batchfill.catalog.pixel_options import Pixels
from batchfill.domain.drawn_masks import read_drawn_mask
from batchfill.images.inpaint import fill_masked
from batchfill.images.prepare.enlarge import fit_canvas, place_canvas, widen_mask
from batchfill.images.prepare.grow import fade_mask, grow_mask
from batchfill.images.prepare.mask import draw_mask
from tests.docs.pages import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

DOCS, JOBS = ROOT / "docs", ROOT / "jobs"
HEIGHT, GAP = 200, 8
"""Pixels of each picture, and between two of them."""
BOX, POLYGON = "box:60,220,150,130", "polygon:330,60 470,90 420,230 300,190"
INK = (230, 40, 90)


def one_row() -> list[Image.Image]:
    """Return the image of a row, its mask, and what the local emulator makes of them."""
    photo, mask = _photograph("rocket"), _mask("rocket-itself")
    filled = fill_masked(np.asarray(photo), np.asarray(mask), 7)
    return [photo, mask, Image.fromarray(filled)]


def drawn_masks() -> list[Image.Image]:
    """Return a photograph on which a box, a polygon, and both are laid in colour."""
    return [_laid_over(_photograph("coffee"), text) for text in (BOX, POLYGON, f"{BOX};{POLYGON}")]


def mask_edges() -> list[Image.Image]:
    """Return a mask, the same grown, and feathered after that."""
    mask = _mask("coffee-crema")
    grown = grow_mask(mask, 12)
    return [mask, grown, fade_mask(grown, 24)]


def larger_picture() -> list[Image.Image]:
    """Return a photograph, its canvas as it is sent, and the mask of what is new."""
    photo = _photograph("coffee").crop((100, 0, 500, 400))
    placed = place_canvas(Pixels(aspect="16:9"), photo.size, has_mask=False)
    assert placed is not None
    canvas = fit_canvas(photo, photo.size, placed, placed.size)
    return [photo, canvas, widen_mask(Image.new("L", photo.size), placed)]


PICTURES: dict[str, Callable[[], list[Image.Image]]] = {
    "one-row.webp": one_row,
    "drawn-masks.webp": drawn_masks,
    "mask-edges.webp": mask_edges,
    "larger-picture.webp": larger_picture,
}


def compose_row(parts: list[Image.Image]) -> Image.Image:
    """Return *parts* next to each other, each as high; the gaps look right on a light page and a dark one."""
    scaled = [
        part.convert("RGB").resize((part.width * HEIGHT // part.height, HEIGHT), Image.Resampling.LANCZOS)
        for part in parts
    ]
    width = sum(part.width for part in scaled) + GAP * (len(scaled) - 1)
    canvas, left = Image.new("RGBA", (width, HEIGHT), (0, 0, 0, 0)), 0
    for part in scaled:
        canvas.paste(part, (left, 0))
        left += part.width + GAP
    return canvas


def _photograph(name: str) -> Image.Image:
    return _decoded(JOBS / "photographs" / f"{name}.jpg").convert("RGB")


def _mask(name: str) -> Image.Image:
    return _decoded(JOBS / "masks" / f"{name}.png").convert("L")


def _decoded(path: Path) -> Image.Image:
    with Image.open(path) as image:
        image.load()
        return image


def _laid_over(photo: Image.Image, text: str) -> Image.Image:
    drawn = read_drawn_mask(text)
    assert drawn is not None
    hole = draw_mask(drawn, photo.size).point([n * 3 // 5 for n in range(256)])
    return Image.composite(Image.new("RGB", photo.size, INK), photo, hole)


if __name__ == "__main__":
    for name, make in PICTURES.items():
        compose_row(make()).save(DOCS / name, quality=80, method=6)
