"""A photograph's work as a short OpenCV script would do it.

`python -m tests.bench.peers.opencv_script prepare|finish PICTURE MASK OUTPUT TARGET`
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from tests.bench.peers.timed_work import FEATHER, SENT_PIXELS, do_timed

if TYPE_CHECKING:
    from pathlib import Path


def _read(path: Path, how: int = cv2.IMREAD_COLOR) -> Any:
    return cv2.imread(str(path), how)


def prepare(picture: Path, mask: Path, _: Path, target: Path) -> None:
    """Save picture and mask as large as they are sent."""
    image = _read(picture)
    scale = (SENT_PIXELS / (image.shape[0] * image.shape[1])) ** 0.5
    sent = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    cv2.imwrite(str(target.with_suffix(".png")), sent)
    hole = _read(mask, cv2.IMREAD_GRAYSCALE)
    size = sent.shape[1], sent.shape[0]
    cv2.imwrite(str(target.with_suffix(".mask.png")), cv2.resize(hole, size))


def finish(picture: Path, mask: Path, output: Path, target: Path) -> None:
    """Save the picture with what the model made in the place of the mask."""
    original, made = _read(picture), _read(output)
    size = original.shape[1], original.shape[0]
    large = cv2.resize(made, size, interpolation=cv2.INTER_LANCZOS4).astype(np.float32)
    soft = cv2.GaussianBlur(_read(mask, cv2.IMREAD_GRAYSCALE), (0, 0), FEATHER)
    share = soft.astype(np.float32)[..., None] / 255
    mixed = large * share + original * (1 - share)
    cv2.imwrite(str(target), mixed.round().astype(np.uint8))


if __name__ == "__main__":
    do_timed({"prepare": prepare, "finish": finish})
