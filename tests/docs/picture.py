"""Composes the README's picture from the demo batch: `make demo`, then `python -m tests.docs.picture`."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

ROOT = Path(__file__).parents[2]
JOBS = ROOT / "jobs"
TARGET = ROOT / "docs" / "before-mask-after.webp"
PARTS = (
    JOBS / "photographs" / "astronaut.jpg",
    JOBS / "masks" / "astronaut-patch.png",
    JOBS / "demo.local.batch" / "outputs" / "astronaut-patch.webp",
)
"""Before, mask and after of one row of the demo."""
SIDE, GAP = 400, 12
"""Pixels of each part and between two parts."""


def compose(parts: tuple[Path, ...], target: Path) -> None:
    """Save *parts* next to each other, each scaled to the same square, as *target*."""
    width = len(parts) * SIDE + (len(parts) - 1) * GAP
    # Transparent gaps look right on a light page and on a dark one.
    canvas = Image.new("RGBA", (width, SIDE), (0, 0, 0, 0))
    for place, part in enumerate(parts):
        with Image.open(part) as picture:
            scaled = picture.convert("RGB").resize((SIDE, SIDE), Image.Resampling.LANCZOS)
        canvas.paste(scaled, (place * (SIDE + GAP), 0))
    canvas.save(target, quality=85, method=6)


if __name__ == "__main__":
    compose(PARTS, TARGET)
