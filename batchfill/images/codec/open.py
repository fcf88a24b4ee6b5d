"""Opening a picture with Pillow: the limits, the formats, and its many exceptions made one."""

from __future__ import annotations

import ctypes
import logging
import struct
import warnings
import zlib
from contextlib import contextmanager, nullcontext, suppress
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import IO, TYPE_CHECKING

# Where Pillow misses the plugin of a format that it is to read or write, it loads all forty; most outputs
# are WebP.
from PIL import Image, PngImagePlugin, UnidentifiedImageError, WebPImagePlugin  # noqa: F401
from PIL.ExifTags import Base as Tag
from PIL.Image import Transpose

from batchfill.errors import BadPicture
from batchfill.images.codec.foreign import HEAD, HEIC, foreign_file, refuse_raw
from batchfill.images.codec.png_chunks import turns_late
from batchfill.regular_files import open_regular

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

MAX_PIXELS = 200_000_000
"""Larger pictures are refused before anything is decoded."""

# Pillow before 11.3 has no AVIF, and would trip over the name.
_AVIF = ("AVIF",) if find_spec("PIL.AvifImagePlugin") else ()
_HEIF = ("HEIF",) if find_spec("pillow_heif") else ()
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "TIFF", "BMP", *_AVIF)
"""What is opened at all: decoders without a use here are not offered to strangers' files."""

_READABLE = frozenset({*_AVIF, *(("HEIC",) if _HEIF else ())})

SUFFIXES = {"PNG": ".png", "JPEG": ".jpg", "MPO": ".jpg", "WEBP": ".webp", "GIF": ".gif"} | {
    "AVIF": ".avif",
    "TIFF": ".tiff",
    "BMP": ".bmp",
    "HEIF": ".heic",
}
"""Suffix by Pillow's format; MPO is what Pillow calls a JPEG that holds further pictures, as phones write."""

MIMES = {"PNG": "image/png", "JPEG": "image/jpeg", "WEBP": "image/webp"}

Image.MAX_IMAGE_PIXELS = MAX_PIXELS
# Pillow only warns up to twice the limit; a picture of that size has to be refused as well.
warnings.filterwarnings("error", category=Image.DecompressionBombWarning)
# What programs write into a PNG about itself may be large, and a sound picture is no worse for it.
PngImagePlugin.MAX_TEXT_CHUNK = 64 * 1024 * 1024
PngImagePlugin.MAX_TEXT_MEMORY = 128 * 1024 * 1024
# Its log, where a program has no use for it, would go to stderr: what is wrong is raised, and told once.
logging.getLogger("PIL").addHandler(logging.NullHandler())
# Broken EXIF of a picture that decodes harms nothing.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")

# What Pillow's decoders let through on damaged bytes, found by feeding them damaged bytes.
BROKEN = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    IndexError,
    KeyError,
    TypeError,
    AttributeError,
    OverflowError,
    NotImplementedError,
    MemoryError,
    RuntimeError,
    struct.error,
    zlib.error,
)
_TOO_LARGE = (Image.DecompressionBombError, Image.DecompressionBombWarning)
_TURNS = {
    2: Transpose.FLIP_LEFT_RIGHT,
    3: Transpose.ROTATE_180,
    4: Transpose.FLIP_TOP_BOTTOM,
    5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_270,
    7: Transpose.TRANSVERSE,
    8: Transpose.ROTATE_90,
}
"""What makes a picture upright, by its EXIF orientation; from 5 on, width and height are swapped."""


@contextmanager
def open_image(source: Path | IO[bytes], name: str) -> Iterator[Image.Image]:
    """Give the picture in *source*, its header read, nothing decoded.

    What goes wrong, here or in the body (decoding), is raised as BadPicture beginning with *name*.
    """
    try:
        with _readable(source) as file:
            refuse_raw(file, name)
            with Image.open(file, formats=_formats_for(file)) as picture:
                refuse_large(picture, name)
                yield picture
    except _TOO_LARGE as error:
        raise BadPicture(_too_large(name)) from error
    except UnidentifiedImageError as error:
        raise _no_picture(source, name) from error
    except BROKEN as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise BadPicture(f"{name} cannot be read: {error.strerror}") from error
        raise BadPicture(f"{name} is damaged or cut short ({error}): save it again") from error


def _formats_for(file: IO[bytes]) -> tuple[str, ...]:
    """Return the formats that *file* is tried as: HEIC, whose decoder is large, only where it may be it."""
    head = file.read(HEAD)
    file.seek(0)
    if not (_HEIF and HEIC.match(head)):
        _load_decoders()
        return FORMATS
    _register_heif()
    return _HEIF


@cache
def _load_decoders() -> None:
    """Import what Pillow would look for by importing all of its formats; WebP is there."""
    for name in ("Tiff", *(name.capitalize() for name in _AVIF)):
        import_module(f"PIL.{name}ImagePlugin")


@cache
def _register_heif() -> None:
    from pillow_heif import register_heif_opener  # for those who have HEIC pictures

    register_heif_opener()


def _silence_libtiff() -> None:
    """Keep libtiff from writing about damaged files to stderr, too."""
    pillow = find_spec("PIL._imaging")
    with suppress(AttributeError, OSError):
        # A Pillow that holds libtiff inside itself has no handle on it.
        libtiff = ctypes.CDLL(pillow.origin if pillow else None)
        for handler in (libtiff.TIFFSetErrorHandler, libtiff.TIFFSetWarningHandler):
            handler.argtypes, handler.restype = [ctypes.c_void_p], ctypes.c_void_p
            handler(None)


_silence_libtiff()


def _readable(source: Path | IO[bytes]) -> AbstractContextManager[IO[bytes]]:
    return open_regular(source) if isinstance(source, Path) else nullcontext(source)


def apply_orientation(picture: Image.Image) -> Image.Image:
    """Return *picture* decoded and turned as its EXIF says: itself, where there is nothing to turn.

    Its EXIF still says so afterwards. Where that is broken, the picture is as it is.
    """
    picture.load()
    turn = _TURNS.get(read_orientation(picture))
    return picture if turn is None else picture.transpose(turn)


def is_turned(picture: Image.Image) -> bool:
    """Whether EXIF rotation swaps width and height. Decodes nothing, so a PNG's late EXIF is not seen."""
    return read_orientation(picture) in range(5, 9)


def read_late_exif(picture: Image.Image) -> None:
    """Decode *picture* where it is a PNG whose EXIF may come last, which is read by decoding only."""
    file = getattr(picture, "fp", None)
    if picture.format == "PNG" and file is not None and turns_late(file):
        picture.load()


def upright_size(picture: Image.Image) -> tuple[int, int]:
    """Return width and height as EXIF turns them, wherever it is."""
    read_late_exif(picture)
    return picture.size[::-1] if is_turned(picture) else picture.size


def is_rotated(picture: Image.Image) -> bool:
    """Whether EXIF turns or mirrors the picture as it is stored."""
    return _stored_orientation(picture) in _TURNS


def turned_text(name: str) -> str:
    """Return why nothing can be drawn on a picture that is turned and sent as it is, and what to do."""
    text = f"{name} is to be turned as its EXIF says, which the service does not do"
    return f"{text}, so that its mask would lie elsewhere: save it upright, or use send: fitted"


def read_orientation(picture: Image.Image) -> int:
    """Return EXIF's number of how *picture* is turned; 1 where it is upright, or nothing says so."""
    if picture.format == "TIFF":
        return 1  # Pillow turns these by itself, and says the upright size from the start
    return _stored_orientation(picture)


def _stored_orientation(picture: Image.Image) -> int:
    try:
        # PngImageFile.getexif would decode the whole picture when it finds no EXIF in front.
        found = Image.Image.getexif(picture).get(Tag.Orientation)
    except BROKEN:
        return 1
    return found if isinstance(found, int) else 1


def refuse_animation(picture: Image.Image, name: str) -> None:
    """Raise BadPicture when *picture* has several frames (the extra pictures of a phone are fine)."""
    if picture.format not in ("MPO", "HEIF") and getattr(picture, "is_animated", False):
        message = f"{name} is animated or has several pages: save one of its pictures by itself"
        raise BadPicture(message, kind="animated")


def refuse_large(picture: Image.Image, name: str) -> None:
    """Raise BadPicture when *picture*, as it is now, has more than MAX_PIXELS."""
    if picture.width * picture.height > MAX_PIXELS:
        raise BadPicture(_too_large(name))


def _too_large(name: str) -> str:
    return f"{name} is larger than {MAX_PIXELS // 1_000_000} megapixels: scale it down"


def _no_picture(source: Path | IO[bytes], name: str) -> BadPicture:
    """Return what says what a file seems to be that is no picture, or none that can be opened."""
    head = _read_head(source)
    return foreign_file(head, name, readable=_READABLE) or BadPicture(f"{name} {_what_else(head)}")


def _what_else(head: bytes) -> str:
    if not head:
        return "is empty"
    if head.lstrip().lower().startswith((b"<!doctype html", b"<html")):
        return "is a web page, not a picture"
    if _is_text(head):
        return "is text, not a picture"
    more = ", HEIC" if _HEIF else ""
    return f"is not a picture in a known format (PNG, JPEG, WebP, GIF, AVIF, TIFF, BMP{more}), or is damaged"


def _read_head(source: Path | IO[bytes]) -> bytes:
    if isinstance(source, Path):
        with open_regular(source) as file:
            return file.read(HEAD)
    source.seek(0)
    return source.read(HEAD)


def _is_text(head: bytes) -> bool:
    if b"\0" in head:
        return False
    try:
        # The bytes read may end inside a character.
        head.decode()
    except UnicodeDecodeError as error:
        return error.start >= len(head) - 3 and len(head) == HEAD
    return True
