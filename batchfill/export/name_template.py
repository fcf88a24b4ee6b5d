"""What exported pictures are called: a template and a row become names that are safe on every system."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from batchfill import filenames
from batchfill.errors import nearest_word

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from batchfill.domain.reports import Result
    from batchfill.domain.rows import StoredFile

DEFAULT = "{id}"
FIELDS = ("id", "image", "row", "n", "count", "seed", "prompt")
NUMBERS = frozenset({"row", "n", "count", "seed"})
TELLING_APART = frozenset({"n", "count"})
"""Fields by which the pictures of one row differ."""
MOST_DIGITS = 12
TABLES = frozenset({"results.csv", "results.jsonl"})
"""What is next to the pictures, so that no folder may have the name."""

_FIELD = re.compile(r"\{([^{}]*)\}")
_CUT = re.compile(r"(.*):([1-9]\d{0,3})", re.DOTALL)


@dataclass(frozen=True, slots=True)
class ExportRow:
    """A row, and those of its pictures that are exported."""

    result: Result
    files: tuple[StoredFile, ...]
    row: int = 1
    """1-based, among the rows of the manifest."""
    first: int = 1
    """The number of its first picture, among all that are exported."""


@dataclass(frozen=True, slots=True)
class TemplateField:
    """A value of the row that stands in a name: `{prompt:40}`."""

    name: str
    size: int | None = None
    """Characters of a text at most, digits of a number at least."""

    def value_text(self, picked: ExportRow, at: int) -> str:
        """Return the value as written in the name of the row's picture at *at*; empty where there is none."""
        value = self._raw_value(picked, at)
        # A name that the user gave a file may stay as it is.
        text = value if self.name == "image" else filenames.plain_text(value)
        if self.size is None or not text:
            return text
        return text.zfill(self.size) if self.name in NUMBERS else cut_at_word(text, self.size)

    def _raw_value(self, picked: ExportRow, at: int) -> str:
        result = picked.result
        match self.name:
            case "id":
                return result.id
            case "image":
                return filenames.original_stem(result.image)
            case "row":
                return str(picked.row)
            case "n":
                return str(picked.files[at].n)
            case "count":
                return str(picked.first + at)
            case "seed":
                return "" if result.seed is None else str(result.seed)
            case "prompt":
                return result.prompt
            case column:
                return result.extra.get(column, "")


Piece = str | TemplateField


@dataclass(frozen=True, slots=True)
class Template:
    """The names of an export; read one with `read_template`."""

    parts: tuple[tuple[Piece, ...], ...]
    """The names of the folders and, last, of the file, without its suffix."""

    def file_names(self, picked: ExportRow) -> list[str]:
        """Return the name of each of the row's files, with forward slashes.

        A row with several gets `@1`, `@2` … before the suffix, unless {n} or {count} stands in the template.
        Raises ValueError: what is wrong with a name, for a person.
        """
        several = len(picked.files) > 1 and not self._is_numbered()
        return [self._file_name(picked, at, several=several) for at in range(len(picked.files))]

    def _is_numbered(self) -> bool:
        fields = (piece for part in self.parts for piece in part if isinstance(piece, TemplateField))
        return any(field.name in TELLING_APART for field in fields)

    def _file_name(self, picked: ExportRow, at: int, *, several: bool) -> str:
        placed = picked.files[at]
        suffix = PurePosixPath(placed.file).suffix
        ending = f"@{placed.n}{suffix}" if several else suffix
        *folders, file = [_fill_part(part, picked, at) for part in self.parts]
        if folders and folders[0].casefold() in TABLES:
            folders[0] = f"_{folders[0]}"
        return "/".join(_check_length(part) for part in (*folders, file + ending))


def read_template(text: str, columns: Collection[str] = ()) -> Template:
    """Read a template; *columns* are those of the manifest that may stand in it, besides FIELDS.

    Raises ValueError with everything that is wrong, a line each.
    """
    parts = tuple(tuple(_read_pieces(part)) for part in _split_path(text))
    wrong = [trouble for part in parts for trouble in _troubles_of(part, columns)]
    if wrong:
        raise ValueError("\n".join(dict.fromkeys(wrong)))
    return Template(parts)


class TakenNames:
    """The names given so far, as a file system that minds no case sees them."""

    def __init__(self) -> None:
        # Digests: a million names take 140 MB.
        self._rows: dict[bytes, int] = {}

    def claim(self, name: str, line: int) -> int | None:
        """Give *name* to the row at *line*; return the line of the row that has it already, if one does."""
        digest = _name_digest(name)
        before = self._rows.get(digest)
        if before is None:
            self._rows[digest] = line
        return before

    def __contains__(self, name: str) -> bool:
        return _name_digest(name) in self._rows


def name_troubles(template: Template, rows: Iterable[ExportRow], taken: TakenNames) -> Iterator[str]:
    """Yield what is wrong with the names of *rows*, which are *taken* meanwhile: collisions in one line."""
    collisions = Collisions()
    for picked in rows:
        where = f"{picked.result.id} (line {picked.result.line})"
        try:
            given = template.file_names(picked)
        except ValueError as error:
            yield f"{where}: {error}"
            continue
        for name in given:
            before = taken.claim(name, picked.result.line or 0)
            if before is not None:
                collisions.add(name, before, picked.result.line or 0)
    yield from collisions.lines()


class Collisions:
    """Pictures whose name another picture has already, of which the first few are told."""

    NAMES, LINES = 3, 4

    def __init__(self) -> None:
        self._found = 0
        self._lines: dict[str, list[int]] = {}
        self._names: dict[str, str] = {}

    def add(self, name: str, before: int, line: int) -> None:
        """Note that the picture of *line* would have the *name* that the one of the line *before* has."""
        self._found += 1
        folded = filenames.fold_case(name)
        if folded not in self._lines:
            if len(self._lines) == self.NAMES:
                return
            self._names[folded] = name
            self._lines[folded] = [before]
        self._lines[folded].append(line)
        del self._lines[folded][self.LINES + 1 :]

    def lines(self) -> Iterator[str]:
        """Yield what there is to say, at most one line."""
        if not self._found:
            return
        shown = [
            f"{self._names[folded]} (lines {_few(told, self.LINES)})" for folded, told in self._lines.items()
        ]
        more = " …" if self._found > sum(len(told) - 1 for told in self._lines.values()) else ""
        pictures = "1 picture a name" if self._found == 1 else f"{self._found:,} pictures names"
        yield (
            f"--name gives {pictures} of other pictures: {', '.join(shown)}{more}: "
            "tell them apart, as with {id} or {row}"
        )


def cut_at_word(text: str, most: int) -> str:
    """Return at most *most* characters of *text*, whose words `-` separates: whole words where possible."""
    if len(text) <= most:
        return text
    head = text[: most + 1]
    if (end := head.rfind("-")) > 0:
        return head[:end].rstrip("-")
    end = most
    while end > 1 and unicodedata.category(text[end])[0] == "M":
        end -= 1  # a letter keeps its accents, or goes with them
    return text[:end]


def _few(lines: Sequence[int], most: int) -> str:
    """Return `2, 4, 7`, or `2, 4, 7, 9 …` where there are more than *most*."""
    return ", ".join(map(str, lines[:most])) + (" …" if len(lines) > most else "")


def _name_digest(name: str) -> bytes:
    return blake2b(filenames.fold_case(name).encode(), digest_size=16).digest()


def _split_path(text: str) -> list[str]:
    """Split a template into the parts of a path; a slash within braces is none of the path's."""
    return re.split(r"/(?![^{}]*\})", text)


def _read_pieces(part: str) -> Iterator[Piece]:
    for n, text in enumerate(_FIELD.split(part)):
        if n % 2:
            sized = _CUT.fullmatch(text)
            yield TemplateField(sized[1], int(sized[2])) if sized else TemplateField(text)
        elif text:
            yield unicodedata.normalize("NFC", text)


def _troubles_of(part: Sequence[Piece], columns: Collection[str]) -> Iterator[str]:
    if not part:
        yield "--name: a folder or the file has no name: put something before and behind each /"
        return
    for piece in part:
        trouble = _of_field(piece, columns) if isinstance(piece, TemplateField) else _of_text(piece)
        if trouble:
            yield f"--name: {trouble}"
    if isinstance(part[0], str) and part[0][0] in ".- ":
        yield f"--name: a folder or a file must not begin with {part[0][0]!r}"
    if isinstance(part[-1], str) and part[-1][-1] in ". ":
        yield f"--name: a folder or a file must not end with {part[-1][-1]!r}"


def _of_field(field: TemplateField, columns: Collection[str]) -> str | None:
    known = list(dict.fromkeys([*FIELDS, *columns]))
    if field.name not in known:
        near = nearest_word(field.name, known)
        hint = f"did you mean {{{near}}}?" if near else f"known are {', '.join(f'{{{k}}}' for k in known)}"
        return f"there is no {{{field.name}}}; {hint}"
    if field.name in NUMBERS and (field.size or 0) > MOST_DIGITS:
        return f"{{{field.name}:{field.size}}}: a number has at most {MOST_DIGITS} digits"
    return None


def _of_text(text: str) -> str | None:
    if "{" in text or "}" in text:
        return f"a brace is alone in {text!r}: values stand in two, as in {{id}}"
    if ";" in text:
        return "';' separates names in the table, so it must not stand in one"
    bad = filenames.first_unfit(text)
    hint = "; sub-folders are made with /" if bad == "\\" else ""
    return f"{bad!r} must not stand in a file's name{hint}" if bad else None


def _fill_part(pieces: Sequence[Piece], picked: ExportRow, at: int) -> str:
    """Return the name of a folder, or of a file without what comes behind it."""
    text = "".join(piece if isinstance(piece, str) else piece.value_text(picked, at) for piece in pieces)
    # A hidden file, an option, a way out of the folder; Windows drops dots and spaces at the end.
    text = unicodedata.normalize("NFC", text).lstrip(".-").rstrip(". ")
    if not text:
        fields = " and ".join(f"{{{p.name}}}" for p in pieces if isinstance(p, TemplateField))
        raise ValueError(f"its name has an empty part, for want of anything in {fields}")
    return f"_{text}" if filenames.is_reserved(text) else text


def _check_length(part: str) -> str:
    size = len(part.encode())
    if size > filenames.MAX_PART:
        raise ValueError(
            f"its name has a part of {size} bytes, and {filenames.MAX_PART} are safe: cut it, as in "
            f"{{prompt:40}}"
        )
    return part
