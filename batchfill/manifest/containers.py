"""What the bytes of a file are: text, packed text, a workbook, or something that is no manifest."""

from __future__ import annotations

import errno
import re
import zlib
from gzip import BadGzipFile, GzipFile
from typing import TYPE_CHECKING, cast
from zipfile import BadZipFile, ZipFile

from batchfill.errors import first_few
from batchfill.manifest.record import Broken
from batchfill.regular_files import open_regular

if TYPE_CHECKING:
    from io import BufferedReader
    from pathlib import Path

_GZIP, _ZIP = b"\x1f\x8b", b"PK\x03\x04"
_TAR_HEADER = 512
_HEAD = 4096
"""Characters in which a table begins."""

_TABLE = 'save its rows as "CSV UTF-8" or JSONL'
_UNPACK = "unpack it first; of packed files only gzip is read"
_PICTURE = "a manifest is a table that names pictures; `batchfill pair` makes one of two folders"

_FOREIGN = (
    (b"PAR1", "a Parquet file", _TABLE),
    (b"ARROW1", "an Arrow or Feather file", _TABLE),
    (b"Obj\x01", "an Avro file", _TABLE),
    (b"\x89HDF", "an HDF5 file", _TABLE),
    (b"SQLite format 3\0", "an SQLite database", _TABLE),
    (b"\x93NUMPY", "a NumPy array", _TABLE),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook (.xls), a protected one, or a document", _TABLE),
    (b"{\\rtf", "an RTF document", _TABLE),
    (b"%PDF", "a PDF document", _TABLE),
    (b"\x80\x04\x95", "a Python pickle", _TABLE),
    (b"\0\1\0\0Standard", "an Access database", _TABLE),
    (_GZIP, "packed with gzip twice", "unpack it once"),
    (b"PK\x05\x06", "an empty zip archive", _UNPACK),
    (b"BZh", "packed with bzip2", _UNPACK),
    (b"\x1f\x9d", "packed with compress", _UNPACK),
    (b"\x04\x22\x4d\x18", "packed with lz4", _UNPACK),
    (b"\xfd7zXZ", "packed with xz", _UNPACK),
    (b"\x28\xb5\x2f\xfd", "packed with zstd", _UNPACK),
    (b"7z\xbc\xaf", "a 7z archive", _UNPACK),
    (b"Rar!", "a rar archive", _UNPACK),
    (b"\x89PNG", "a picture", _PICTURE),
    (b"\xff\xd8\xff", "a picture", _PICTURE),
    (b"GIF8", "a picture", _PICTURE),
    (b"II*\0", "a picture", _PICTURE),
    (b"MM\0*", "a picture", _PICTURE),
    (b"8BPS", "a picture", _PICTURE),
    (b"\0\0\0\x0cjP", "a picture", _PICTURE),
)
"""How a file begins, what it is, and what to do."""

_PACKAGES = (
    ("xl/workbook.xml", "", ""),
    ("xl/workbook.bin", "a binary workbook (.xlsb)", "save it as .xlsx or CSV UTF-8"),
    ("content.xml", "an OpenDocument file (.ods)", "save it as .xlsx or CSV UTF-8"),
    ("Index/Document.iwa", "a Numbers table", "export it as .xlsx or CSV"),
    ("word/document.xml", "a Word document", _TABLE),
)
"""A member that tells what a zip file is."""

_TEXTS = (
    (
        re.compile(r"<(!--|(!doctype|html|head|body|meta|style|script|title|div|p|table|thead|tr)\b)"),
        "a web page",
    ),
    (re.compile(r"mime-version:|content-type: *multipart/|from: <saved by "), "a saved web page"),
    (re.compile(r"<(\?xml|[a-z]+:?workbook|svg|rss)\b"), "XML"),
    (re.compile(r"id;p(wxl|calc)"), "an SYLK table (.slk)"),
)
"""How text begins that holds no rows: tables under the name .xls are often such pages."""

_RULED = re.compile(r"[|+┼├┌╔╞╠]?[ :]*[-=─═]{2}[ :|+┼┬╪╬┤┐╗╡╣=─═-]*")
"""A line that is drawn below the names of a table, or around them."""

_PARTED = re.compile(r"[|│┃+┼┬╪╬]")
_DELIMITED = re.compile(r"[,;\t|│]")


class _Unpacked(GzipFile):
    """A packed file; that it is damaged is an error of the file, as with any other."""

    def __init__(self, file: BufferedReader) -> None:
        super().__init__(fileobj=file)
        # GzipFile closes this one with itself.
        self.myfileobj = file  # type: ignore[assignment]

    def read(self, size: int | None = -1) -> bytes:
        with _Damage():
            return super().read(size)

    def read1(self, size: int = -1) -> bytes:
        with _Damage():
            return super().read1(size)

    def readline(self, size: int | None = -1) -> bytes:
        with _Damage():
            return super().readline(size)


class _Damage:
    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, EOFError | zlib.error | BadGzipFile):
            raise OSError(errno.EIO, "packed with gzip, and cut short or damaged: copy it again") from error


def open_unpacked(path: Path) -> BufferedReader:
    """Open the regular file at *path* to read its bytes, unpacked where gzip packed them. Raises OSError."""
    file = open_regular(path)
    packed = file.peek(2)[:2] == _GZIP
    return cast("BufferedReader", _Unpacked(file)) if packed else file


def is_workbook(path: Path, start: bytes) -> bool:
    """Whether the file at *path*, which begins with *start*, is a workbook that can be read.

    Raises Broken, with what it is and what to do, when it is neither that nor text.
    """
    if start.startswith(_ZIP):
        _refuse_package(path)
        return True
    for magic, what, advice in _FOREIGN:
        if start.startswith(magic):
            raise Broken(0, f"is {what}: {advice}")
    if _is_tar(start):
        raise Broken(0, f"is a tar archive: {_UNPACK}")
    return False


def refuse_page(text: str) -> None:
    """Raise Broken when *text* begins as a page or a document does."""
    start = text[:1000].lstrip("\ufeff \t\r\n")[:40].lower()
    for beginning, what in _TEXTS:
        if beginning.match(start):
            raise Broken(0, f"is {what}: {_TABLE}")


def refuse_drawn_table(text: str) -> None:
    """Raise Broken when *text* begins with a table that is drawn with lines, as Markdown and terminals do."""
    lines = [line.strip() for line in text[:_HEAD].splitlines() if line.strip()]
    for above, line in zip(["", *lines], lines, strict=False):
        if _RULED.fullmatch(line) and _PARTED.search(above + line):
            raise Broken(0, f"is a table drawn with lines, as in Markdown: {_TABLE}")
        if _DELIMITED.search(above):
            return


def _is_tar(start: bytes) -> bool:
    """Whether *start* is the header of an archive's member, of which the sum is right."""
    if 0 not in start[:_TAR_HEADER]:
        return False
    from tarfile import TarError, TarInfo  # only for what is no text

    try:
        TarInfo.frombuf(start[:_TAR_HEADER], "utf-8", "surrogateescape")
    except (TarError, ValueError):
        return False
    return True


def _refuse_package(path: Path) -> None:
    try:
        with open_regular(path) as file:
            if file.peek(2)[:2] == _GZIP:
                raise Broken(0, "is a workbook or a zip archive packed with gzip: unpack it once")
            with ZipFile(file) as package:
                members = package.namelist()
    except (BadZipFile, OSError, ValueError, NotImplementedError):
        raise Broken(0, "is a workbook or an archive, cut short or damaged: save it again") from None
    for member, what, advice in _PACKAGES:
        if member in members:
            if what:
                raise Broken(0, f"is {what}: {advice}")
            return
    held = first_few([name for name in members if not name.endswith("/")], 3)
    raise Broken(0, f"is a zip archive ({held}): {_UNPACK}")
