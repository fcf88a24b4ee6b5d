"""Looking at pictures: what a file is, and whether an output is whole."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import TYPE_CHECKING

from batchfill.domain.predictions import Picture
from batchfill.errors import BadPicture
from batchfill.images.codec.open import (
    MAX_PIXELS,
    SUFFIXES,
    is_rotated,
    is_turned,
    open_image,
    read_late_exif,
    refuse_animation,
    refuse_large,
)
from batchfill.images.codec.png_chunks import find_chunks
from batchfill.regular_files import open_regular

if TYPE_CHECKING:
    from pathlib import Path

    from PIL.Image import Image

_JPEG_END, _JPEG_SCAN = b"\xff\xd9", b"\xff\xda"
_JPEGS = ("JPEG", "MPO")

MOST_DECODED = 5 * MAX_PIXELS
"""Pixels of one output that are decoded, those of all its pictures together."""
_LEAST, _USUAL_SCANS = 10_000, 10


def read_header(path: Path) -> Picture:
    """Return what the header of an input says; nothing is decoded.

    Raises BadPicture, naming the file: no picture, unreadable, animated, beyond 200 megapixels.
    """
    with open_image(path, path.name) as image:
        refuse_animation(image, path.name)
        read_late_exif(image)
        return replace(_describe_picture(image, turned=is_turned(image)), rotated=is_rotated(image))


def decode_whole(path: Path) -> Picture:
    """Decode every byte of an output and return what it is; its size is as stored, EXIF left aside.

    Raises BadPicture when anything is missing, even the last bytes. Bytes changed inside a JPEG or WebP
    are seen by no decoder.
    """
    try:
        with open_regular(path) as file:
            content = file.read()
    except OSError as error:
        raise BadPicture(f"{path.name} cannot be read: {error.strerror}") from error
    with open_image(io.BytesIO(content), path.name) as image:
        found = _describe_picture(image, turned=False)
        _decode_frames(image, path.name, scans=content.count(_JPEG_SCAN) if found.format in _JPEGS else 0)
        plain = is_plain(image)
    if not _has_end(found.format, content):
        raise BadPicture(f"{path.name} is cut short: its last bytes are missing")
    return replace(found, plain=plain)


def is_plain(image: Image) -> bool:
    """Whether every pixel of *image* is of one colour, and there is more than one."""
    extrema = image.getextrema()
    bands = extrema if isinstance(extrema[0], tuple) else [extrema]
    return image.width * image.height > 1 and all(low == high for low, high in bands)


def stored_size(content: bytes, name: str) -> tuple[int, int]:
    """Return width and height as stored, EXIF rotation left aside. Raises BadPicture."""
    with open_image(io.BytesIO(content), name) as image:
        return image.size


def _decode_frames(image: Image, name: str, *, scans: int) -> None:
    """Decode every picture of a file. Raises BadPicture when that would take minutes, or one is missing."""
    frames = decoded = 0
    while True:
        refuse_large(image, name)
        # The smallest picture takes its time, and a JPEG that comes in passes takes it over and over.
        decoded += max(image.width * image.height, _LEAST) * (1 + scans // _USUAL_SCANS)
        if decoded > MOST_DECODED:
            raise BadPicture(f"{name} holds more pictures, or passes over them, than any output needs")
        image.load()
        frames += 1
        try:
            image.seek(frames)
        except EOFError:
            break
    if frames < getattr(image, "n_frames", 1):
        raise BadPicture(f"{name} is cut short: {frames} of its pictures are there")


def _describe_picture(image: Image, *, turned: bool) -> Picture:
    kind = image.format or ""
    width, height = reversed(image.size) if turned else image.size
    return Picture(format=kind, suffix=SUFFIXES[kind], width=width, height=height, mode=image.mode)


def _has_end(kind: str, content: bytes) -> bool:
    """Whether the last bytes are there, for the formats whose decoders do not miss them."""
    if kind == "PNG":
        chunks = find_chunks(io.BytesIO(content))
        return any(kind == b"IEND" and ends <= len(content) for kind, _, ends in chunks)
    if kind in _JPEGS:
        # 0xFF is escaped inside scans, so the last end mark behind the last scan ends the picture.
        return content.rfind(_JPEG_END) > content.rfind(_JPEG_SCAN)
    if kind == "WEBP":
        return int.from_bytes(content[4:8], "little") + 8 <= len(content)
    return kind != "GIF" or content.rstrip(b"\0").endswith(b";")


def inspect_output(path: Path) -> Picture | BadPicture:
    """Return what is known of the picture at *path*, or why it is none."""
    # Returned, since the bytes of a bad one are kept.
    try:
        return decode_whole(path)
    except BadPicture as error:
        return error
