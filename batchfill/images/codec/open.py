"""Opening a picture with Pillow: the limits, the formats, and its many exceptions made one."""

from __future__ import annotations

import re
import struct
import warnings
import zlib
from contextlib import contextmanager, nullcontext
from importlib.util import find_spec
from pathlib import Path
from typing import IO, TYPE_CHECKING

from PIL import Image, UnidentifiedImageError
from PIL.ExifTags import Base as Tag
from PIL.Image import Transpose

from batchfill.errors import BadPicture
from batchfill.regular_files import open_regular

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

MAX_PIXELS = 200_000_000
"""Larger pictures are refused before anything is decoded."""

# Pillow before 11.3 has no AVIF, and would trip over the name.
_AVIF = ("AVIF",) if find_spec("PIL.AvifImagePlugin") else ()
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "TIFF", "BMP", *_AVIF)
"""What is opened at all: decoders that nobody needs here are not offered to strangers' files."""

SUFFIXES = {"PNG": ".png", "JPEG": ".jpg", "MPO": ".jpg", "WEBP": ".webp", "GIF": ".gif"} | {
    "AVIF": ".avif",
    "TIFF": ".tiff",
    "BMP": ".bmp",
}
"""Suffix by Pillow's format; MPO is what Pillow calls a JPEG that holds further pictures, as phones write."""

MIMES = {"PNG": "image/png", "JPEG": "image/jpeg", "WEBP": "image/webp"}

Image.MAX_IMAGE_PIXELS = MAX_PIXELS
# Pillow only warns up to twice the limit; a picture of that size has to be refused as well.
warnings.filterwarnings("error", category=Image.DecompressionBombWarning)
# Broken EXIF of a picture that decodes is nobody's concern.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")

_FOREIGN = {
    kind: re.compile(start, re.DOTALL | re.IGNORECASE)
    for kind, start in {
        "SVG": rb"\s*(?:<\?xml.*)?<svg",
        # A damaged AVIF may begin so too, and is to be fetched again.
        "HEIC": rb".{4}ftyp(?:hei[cfmsx]|hev[cmsx]|(?:mif1|msf1)(?!.{0,60}avi[fs]))",
        **({} if _AVIF else {"AVIF": rb".{4}ftypavi[fs]"}),
        "JPEG XL": rb"\xff\x0a|\x00{3}\x0cJXL \r\n\x87\n",
        "JPEG 2000": rb"\xff\x4f\xff\x51|\x00{3}\x0cjP  \r\n\x87\n",
        "PSD": rb"8BPS\x00[\x01\x02]",
        "OpenEXR": rb"\x76\x2f\x31\x01",
        "QOI": rb"qoif.{8}[\x03\x04]",
        "PDF": rb"%PDF-",
        "MP4": rb".{4}ftyp(?:isom|iso[2-9]|mp4[12]|avc1|qt  )",
        "WebM": rb"\x1a\x45\xdf\xa3",
    }.items()
}
"""What files begin with whose formats no decoder here reads, by the formats' names."""

_FOREIGN_WORDS = {"SVG": "an SVG drawing", "HEIC": "a HEIC picture", "PDF": "a PDF"}

FOREIGN_SUFFIXES = {
    "SVG": ".svg",
    "HEIC": ".heic",
    "AVIF": ".avif",
    "JPEG XL": ".jxl",
    "JPEG 2000": ".jp2",
} | {
    "PSD": ".psd",
    "OpenEXR": ".exr",
    "QOI": ".qoi",
    "PDF": ".pdf",
    "MP4": ".mp4",
    "WebM": ".webm",
}

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
        with _readable(source) as file, Image.open(file, formats=FORMATS) as picture:
            refuse_large(picture, name)
            yield picture
    except _TOO_LARGE as error:
        raise BadPicture(_too_large(name)) from error
    except UnidentifiedImageError as error:
        raise _no_picture(source, name) from error
    except BROKEN as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise BadPicture(f"{name} cannot be read: {error.strerror}") from error
        raise BadPicture(f"{name} is damaged or cut short: {error}") from error


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


def read_orientation(picture: Image.Image) -> int:
    """Return EXIF's number of how *picture* is turned; 1 where it is upright, or nothing says so."""
    if picture.format == "TIFF":
        return 1  # Pillow turns these by itself, and says the upright size from the start
    try:
        # PngImageFile.getexif would decode the whole picture when it finds no EXIF in front.
        found = Image.Image.getexif(picture).get(Tag.Orientation)
    except BROKEN:
        return 1
    return found if isinstance(found, int) else 1


def refuse_animation(picture: Image.Image, name: str) -> None:
    """Raise BadPicture when *picture* has several frames (the extra pictures of a phone's JPEG are fine)."""
    if picture.format != "MPO" and getattr(picture, "is_animated", False):
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
    foreign = next((kind for kind, start in _FOREIGN.items() if start.match(head)), None)
    if foreign is not None:
        what = _FOREIGN_WORDS.get(foreign, f"a {foreign} file")
        return BadPicture(f"{name} is {what}: save it as JPEG or PNG", foreign=foreign)
    return BadPicture(f"{name} {_what_else(head)}")


def _what_else(head: bytes) -> str:
    if not head:
        return "is empty"
    if head.lstrip().lower().startswith((b"<!doctype html", b"<html")):
        return "is a web page, not a picture"
    if _is_text(head):
        return "is text, not a picture"
    return "is not a picture in a known format (PNG, JPEG, WebP, GIF, AVIF, TIFF, BMP), or is damaged"


def _read_head(source: Path | IO[bytes]) -> bytes:
    if isinstance(source, Path):
        with open_regular(source) as file:
            return file.read(512)
    source.seek(0)
    return source.read(512)


def _is_text(head: bytes) -> bool:
    if b"\0" in head:
        return False
    try:
        # The 512 bytes may end inside a character.
        head.decode()
    except UnicodeDecodeError as error:
        return error.start >= len(head) - 3 and len(head) == 512
    return True
