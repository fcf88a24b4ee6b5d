"""Ids, file names and cells of tables that are safe on every system."""

from __future__ import annotations

import mimetypes
import re
import unicodedata
from hashlib import sha256
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

MAX_ID = 100
"""Characters. In UTF-8 at most twice as many bytes, so that `ID@4.webp` fits every file system's 255."""

MANY_ROWS = 50_000
"""Above this many rows the outputs go to 256 sub-folders."""

MAX_PART = 240
"""Bytes of UTF-8 of a folder's or a file's name: below what every file system takes."""

_PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,59}")
_RESERVED = frozenset(
    ["con", "prn", "aux", "nul", *(f"com{n}" for n in range(10)), *(f"lpt{n}" for n in range(10))]
)
_DEVICES = _RESERVED | {"conin$", "conout$"} | {f"{port}{n}" for port in ("com", "lpt") for n in "¹²³"}
"""The others can be no id anyway."""

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
"""What a cell begins with that a spreadsheet takes for a formula; some also where it is of full width."""

_NUMBER = re.compile(r"[+-]?\d+([.,]\d+)?([eE][+-]?\d+)?", re.ASCII)
_NOT_IN_FILES = re.compile(r'[<>:"/\\|?*\x00-\x1f\x7f]')


def fold_case(id_: str) -> str:
    """Return what two ids share when a case-insensitive file system would mix them up."""
    return unicodedata.normalize("NFC", id_).casefold()


def check_id(id_: str) -> str:
    """Return *id_* in normal form (NFC). Raises ValueError with a message that names the trouble."""
    if _is_plain(id_):
        return id_  # most are, and there may be a million of them
    id_ = unicodedata.normalize("NFC", id_)
    if len(id_) > MAX_ID or len(id_.encode()) > 2 * MAX_ID:
        raise ValueError(f"id is {len(id_)} characters long; at most {MAX_ID} are allowed")
    bad = next((c for c in id_ if not _is_allowed(c)), None)
    if bad is not None:
        raise ValueError(f"id {id_!r} holds {bad!r}; letters, digits, '.', '_' and '-' are allowed")
    if id_[0] in ".-" or id_.endswith("."):
        raise ValueError(f"id {id_!r} must not begin with '.' or '-', nor end with '.'")
    if id_.split(".", 1)[0].casefold() in _RESERVED:
        raise ValueError(f"id {id_!r} is a reserved name on Windows; choose another")
    return id_


def stem_of(image: str) -> str:
    """Return a safe beginning for a made id from an image's path or URL; `row` when nothing is left."""
    plain = image.rsplit("/", 1)[-1].rsplit(".", 1)[0]
    if _is_plain(plain):
        return plain
    path = unquote(urlsplit(image).path) if "://" in image else image.replace("\\", "/")
    stem = unicodedata.normalize("NFC", PurePosixPath(path).stem)
    safe = "".join(c if _is_allowed(c) else "-" for c in stem).strip("-.")[:60]
    while len(safe.encode()) > 120:
        safe = safe[:-1]
    if not safe or safe.split(".", 1)[0].casefold() in _RESERVED:
        return f"row-{safe}".rstrip("-")
    return safe


def original_stem(image: str) -> str:
    """Return the name of an image's file without its suffix, with its blanks and signs.

    *image*: a path or an address, whose query is left out: it may hold a secret.
    """
    if image.casefold().startswith("data:"):
        return ""
    web = image.casefold().startswith(("http://", "https://"))
    path = unquote(urlsplit(image).path) if web else image.replace("\\", "/")
    stem = unicodedata.normalize("NFC", PurePosixPath(path).stem)
    # `;` separates names in tables.
    return "".join("-" if c == ";" or first_unfit(c) else c for c in stem)


def made_id(stem: str, key: str) -> str:
    """Return the id of a row that was given none."""
    return f"{stem}-{key[:8]}"


def key_of(fingerprint: str, nth: int) -> str:
    """Return the identity of the *nth* (from 1) row with this fingerprint: 32 hex digits."""
    return sha256(f"{fingerprint}:{nth}".encode()).hexdigest()[:32]


def output_name(id_: str, n: int, asked: int, suffix: str, *, many: bool) -> str:
    """Return the file name of output *n* (from 1) below `outputs/`: `ID.webp`, `ID@2.webp`, `a7/ID.webp`."""
    name = f"{id_}@{n}{suffix}" if asked > 1 else f"{id_}{suffix}"
    return f"{sha256(fold_case(id_).encode()).hexdigest()[:2]}/{name}" if many else name


def plain_text(text: str) -> str:
    """Return *text* in normal form (NFC) with only what an id may hold.

    Each run of anything else becomes one `-`, and nothing at the ends; the text of an id stays as it is.
    """
    if _is_plain(text):
        return text
    words = "".join(c if _is_allowed(c) else " " for c in unicodedata.normalize("NFC", text)).split()
    return "-".join(words)


def first_unfit(text: str) -> str | None:
    """Return the first character of *text* that Windows allows in no file name, or that is not seen."""
    return next((c for c in text if _NOT_IN_FILES.match(c) or unicodedata.category(c)[0] == "C"), None)


def is_reserved(part: str) -> bool:
    """Whether Windows takes the name *part*, whatever its suffix, for a device."""
    return part.split(".", 1)[0].rstrip(" ").casefold() in _DEVICES


def as_cell(text: str, *, numbers: bool = True) -> str:
    """Return *text* as a table's cell that no spreadsheet takes for a formula: a quote before it, if need be.

    *numbers*: a plain number such as -5 stays one. Of texts with a quote in that place `from_cell` makes the
    text again.
    """
    if not text.startswith(("'", *FORMULA)) or not text.lstrip("'").startswith(FORMULA):
        return text
    return text if numbers and _NUMBER.fullmatch(text) else f"'{text}"


def from_cell(cell: str) -> str:
    """Return the text that `as_cell` made *cell* of."""
    quoted = cell.startswith("'") and cell.lstrip("'").startswith(FORMULA)
    return cell[1:] if quoted else cell


def _is_plain(name: str) -> bool:
    """Whether *name* is beyond doubt safe everywhere, by itself and before a suffix."""
    return _PLAIN.fullmatch(name) is not None and name.lower() not in _RESERVED


def _is_allowed(c: str) -> bool:
    return c in "._-" or unicodedata.category(c)[0] in "LM" or unicodedata.category(c) == "Nd"


def mime_of(name: str) -> str:
    """Return the MIME type that the suffix of a file's *name* tells."""
    # Not every Python knows it.
    if name.lower().endswith(".webp"):
        return "image/webp"
    return mimetypes.guess_type(name)[0] or "application/octet-stream"
