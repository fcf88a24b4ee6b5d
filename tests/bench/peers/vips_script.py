"""A photograph's work as a short libvips script would do it.

`python -m tests.bench.peers.vips_script prepare|finish PICTURE MASK OUTPUT TARGET`
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyvips

from tests.bench.peers.timed_work import FEATHER, SENT_PIXELS, do_timed

if TYPE_CHECKING:
    from pathlib import Path


def prepare(picture: Path, mask: Path, _: Path, target: Path) -> None:
    """Save picture and mask as large as they are sent."""
    header = pyvips.Image.new_from_file(str(picture))
    width = round(header.width * (SENT_PIXELS / (header.width * header.height)) ** 0.5)
    pyvips.Image.thumbnail(str(picture), width).pngsave(str(target.with_suffix(".png")))
    pyvips.Image.thumbnail(str(mask), width).pngsave(str(target.with_suffix(".mask.png")))


def finish(picture: Path, mask: Path, output: Path, target: Path) -> None:
    """Save the picture with what the model made in the place of the mask."""
    original = pyvips.Image.new_from_file(str(picture))
    soft = pyvips.Image.new_from_file(str(mask))[0].gaussblur(FEATHER)
    made = pyvips.Image.new_from_file(str(output))
    large = made.resize(original.width / made.width, vscale=original.height / made.height)
    large = large.crop(0, 0, original.width, original.height)
    soft.ifthenelse(large[:3], original[:3], blend=True).write_to_file(str(target))


if __name__ == "__main__":
    do_timed({"prepare": prepare, "finish": finish})
