"""The photographs, masks and outputs of the bench: `python -m tests.bench.photo_files` writes them here."""

from __future__ import annotations

from typing import Any

from PIL.Image import Resampling

from tests.bench import photograph

SIZES = {"12": (4032, 3024), "24": (6000, 4000)}
"""By megapixels."""
ORIGINALS: dict[str, dict[str, Any]] = {"jpg": {"quality": 92}, "png": {}, "webp": {"quality": 90}}
SHARES = {"small": 0.2, "large": 0.8}
"""Of the picture's sides, that the mask takes."""


def main() -> None:
    """Write all of them, with what stands for the outputs."""
    for stem, size in SIZES.items():
        picture = photograph.mosaic(*size)
        for form, options in ORIGINALS.items():
            picture.save(f"{stem}.{form}", **options)
        picture.resize((1152, 768), Resampling.LANCZOS).save(f"{stem}-raw.webp", quality=80)
        for mask, share in SHARES.items():
            photograph.ellipse(*size, share).save(f"{stem}-{mask}.png")
        photograph.strokes(*size).save(f"{stem}-strokes.png")


if __name__ == "__main__":
    main()
