"""A photograph's work as a short Pillow script would do it.

`python -m tests.bench.peers.pillow_script prepare|finish PICTURE MASK OUTPUT TARGET`
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from PIL import Image, ImageFilter

from tests.bench.peers.timed_work import FEATHER, SENT_PIXELS, do_timed

if TYPE_CHECKING:
    from pathlib import Path


def prepare(picture: Path, mask: Path, _: Path, target: Path) -> None:
    """Save picture and mask as large as they are sent."""
    with Image.open(picture) as image:
        scale = (SENT_PIXELS / (image.width * image.height)) ** 0.5
        size = round(image.width * scale), round(image.height * scale)
        image.convert("RGB").resize(size, Image.Resampling.LANCZOS).save(target.with_suffix(".png"))
    with Image.open(mask) as image:
        image.convert("L").resize(size).save(target.with_suffix(".mask.png"))


def finish(picture: Path, mask: Path, output: Path, target: Path) -> None:
    """Save the picture with what the model made in the place of the mask."""
    with Image.open(picture) as original, Image.open(mask) as hole, Image.open(output) as made:
        soft = hole.convert("L").filter(ImageFilter.GaussianBlur(FEATHER))
        large = made.convert("RGB").resize(original.size, Image.Resampling.LANCZOS)
        Image.composite(large, original.convert("RGB"), soft).save(target, quality=92)


if __name__ == "__main__":
    do_timed({"prepare": prepare, "finish": finish})
