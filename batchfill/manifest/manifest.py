"""A manifest that has been opened: what kind of file it is, its settings, and where its rows are."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from batchfill.errors import ManifestError, UsageError, cut_short, did_you_mean
from batchfill.manifest import encodings
from batchfill.manifest.containers import is_workbook, refuse_drawn_table, refuse_page
from batchfill.manifest.formats.json_shapes import find_rows_list
from batchfill.manifest.formats.jsonl import is_spread
from batchfill.manifest.local_addresses import LocalAddresses, reach_of
from batchfill.manifest.record import EMPTY, Broken, Trouble, make_mistake
from batchfill.manifest.standard_input import STANDARD_INPUT, spool_input
from batchfill.manifest.text import HEAD, explain_undecodable, name_encoding, open_text, read_start

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from batchfill.manifest.local_addresses import LocatedFile
    from batchfill.manifest.yaml_settings import Head

_KINDS = {
    ".csv": "csv",
    ".tsv": "csv",
    ".tab": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".yaml": "yaml",
    ".yml": "yaml",
}
_WORKBOOK_SUFFIXES = (".xlsx", ".xlsm")
_SUFFIXES = frozenset({*_KINDS, *_WORKBOOK_SUFFIXES, ".json"})
_YAML = re.compile(r"#|---|- |\w+:(\s|$)")
_KNOWN = "a manifest is a CSV (.csv), JSONL (.jsonl), YAML (.yaml) or Excel (.xlsx) file"
_OF_ROWS = "must be a CSV (.csv), JSONL (.jsonl) or Excel (.xlsx) file"


@dataclass(frozen=True, slots=True)
class Manifest:
    """An opened manifest; its rows have not been looked at yet."""

    path: Path
    kind: str
    """`csv`, `jsonl` (one object a line), `json`, `wrapped json` (in an object), `yaml`, `workbook`."""
    rows: Path
    """The file that holds the rows: *path* itself, or what a YAML's `rows:` names."""
    rows_kind: str
    encoding: str | None = None
    """Of the rows; None for UTF-8."""
    sheet: str | None = None
    """Of a workbook; None for its first one."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Scalar settings, read; without `defaults` and `column`."""
    defaults: Mapping[str, str] = field(default_factory=dict)
    column: Mapping[str, str] = field(default_factory=dict)
    """Input name → the manifest's name for its column."""
    lines: Mapping[str, int] = field(default_factory=dict)
    """The line of each setting: `price`, `defaults.guidance`, `column.image`."""


def open_manifest(
    path: Path,
    *,
    encoding: str | None = None,
    sheet: str | None = None,
    else_encoding: str | None = None,
    else_sheet: str | None = None,
) -> Manifest:
    """Open *path*, reading no more than its head; `-` is standard input.

    *encoding* and *sheet* are those of the command line; they go before the manifest's own for the rows, and
    those before *else_encoding* and *else_sheet*.
    Raises UsageError when there is no such file or encoding, ManifestError with every mistake of the head.
    """
    for flag, name in (("--encoding", encoding), ("encoding", else_encoding)):
        if name is not None and not encodings.is_encoding(name):
            raise UsageError(
                f"{flag} {cut_short(name)}: no such encoding; known are utf-8, gb18030, windows-1252 …"
            )
    file = spool_input() if path == STANDARD_INPUT else path
    start = _read_beginning(file)
    by_name = None if _KINDS.get(_suffix_of(file)) == "yaml" else else_encoding
    try:
        kind = _find_kind(file, start, encoding or by_name)
        if sheet is not None and kind not in ("workbook", "yaml"):
            raise UsageError(f"--sheet {sheet}: {file.name} is no workbook")
        if kind != "yaml":
            sheet = sheet or (else_sheet if kind == "workbook" else None)
            return Manifest(path, kind, rows=file, rows_kind=kind, encoding=encoding or by_name, sheet=sheet)
        from batchfill.manifest.yaml_settings import read_head

        with open_text(file, encoding) as text:
            head = read_head(text)
        own = _own_encoding(head)
        if head.rows is not None:
            # The setting is about the file of the rows: this one has just been read without it.
            encoding = encoding or own or else_encoding
        return _with_head(path, file, head, encoding, sheet or head.settings.get("sheet") or else_sheet)
    except Broken as broken:
        raise ManifestError([make_mistake(file, broken.line, broken.message)]) from None


_BEGIN = "; `batchfill init` writes a manifest to begin with"


def _read_beginning(path: Path) -> bytes:
    if path.is_dir():
        raise UsageError(f"{path} is a folder: {_KNOWN}")
    if path.exists() and not path.is_file():
        raise UsageError(f"{path} is not a regular file: {_KNOWN}")
    try:
        return read_start(path)
    except FileNotFoundError:
        raise UsageError(f"{path}: no such file{_nearest_name(path) or _BEGIN}") from None
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from error


def _nearest_name(path: Path) -> str:
    folder = path.parent
    names = (
        [entry.name for entry in folder.iterdir() if _suffix_of(entry) in _SUFFIXES]
        if folder.is_dir()
        else []
    )
    return did_you_mean(path.name, names)


def _suffix_of(path: Path) -> str:
    """Return the suffix that says what *path* is: `.csv` of night.csv.gz."""
    name = path.name.lower().removesuffix(".gz")
    return f".{name.rpartition('.')[2]}" if "." in name else ""


def _check_text(path: Path, start: bytes, encoding: str | None) -> str:
    """Return the beginning of the file as text. Raises Broken when it is none."""
    if encoding is None and 0 in start:
        raise _explain_nul(start)
    text = encodings.decode_sample(start, encoding or "utf-8-sig")
    if text is None:
        raise explain_undecodable(path, encoding)
    if not text.strip("\ufeff \t\r\n"):
        raise Broken(0, EMPTY)
    refuse_page(text)
    return text


def _explain_nul(start: bytes) -> Broken:
    # Zero bytes are valid UTF-8: only their places tell UTF-16 from damage.
    likely = encodings.guess_encoding(start)
    if likely.startswith("UTF-16"):
        return Broken(0, name_encoding("UTF-8", likely))
    line = start[: start.index(0)].count(b"\n") + 1
    return Broken(line, "holds a NUL character: the file is damaged, or not a text file")


def _find_kind(path: Path, start: bytes, encoding: str | None) -> str:
    """Return what *path* is: by its bytes, its suffix, and how its text begins. Raises Broken."""
    if is_workbook(path, start):
        return "workbook"
    text = _check_text(path, start, encoding)
    first = text.lstrip("\ufeff \t\r\n").partition("\n")[0].strip()
    kind = _KINDS.get(_suffix_of(path)) or _kind_by_beginning(first)
    if kind == "csv" or _suffix_of(path) not in _SUFFIXES:
        refuse_drawn_table(text)
    return _kind_of_json(text, first, cut=len(start) >= HEAD) if kind == "jsonl" else kind


def _kind_of_json(text: str, first: str, *, cut: bool) -> str:
    """Return the kind of JSON that begins with *text*, and goes on if it is *cut*. Raises Broken."""
    if find_rows_list(text, cut=cut) is not None:
        return "wrapped json"
    return "json" if is_spread(first) else "jsonl"


def _kind_by_beginning(first: str) -> str:
    if first.startswith(("{", "[")):
        return "jsonl"
    return "yaml" if _YAML.match(first) else "csv"


def _with_head(path: Path, file: Path, head: Head, encoding: str | None, sheet: str | None) -> Manifest:
    """Return the manifest *path*, whose bytes are those of *file*. Raises ManifestError."""
    rows, kind = file, "yaml"
    if head.rows is not None:
        place = LocalAddresses(path.parent).locate(head.rows)
        rows = path.parent / place.spelled
        kind = _kind_of_rows(rows, place, path, head, encoding)
    if head.troubles:
        raise ManifestError([make_mistake(file, *trouble) for trouble in sorted(head.troubles)])
    return Manifest(
        path,
        "yaml",
        rows=rows,
        rows_kind=kind,
        encoding=encoding,
        sheet=sheet,
        settings=head.settings,
        defaults=head.defaults,
        column=head.column,
        lines=head.lines,
    )


def _own_encoding(head: Head) -> str | None:
    encoding: str | None = head.settings.get("encoding")
    if encoding is None or encodings.is_encoding(encoding):
        return encoding
    head.note_mistake(head.lines["encoding"], f"encoding {cut_short(encoding)}: no such encoding")
    return None


def _kind_of_rows(rows: Path, place: LocatedFile, path: Path, head: Head, encoding: str | None) -> str:
    """Return the kind of the file *rows*; what is wrong with it is noted in *head*."""
    line = head.lines["rows"]
    if _suffix_of(rows) not in _SUFFIXES or _KINDS.get(_suffix_of(rows)) == "yaml":
        head.note_mistake(line, f"rows: {head.rows} {_OF_ROWS}")
    elif objection := reach_of(path.parent).objection(place):
        head.note_mistake(line, f"rows: {head.rows} {objection}: move it there")
    else:
        try:
            return _find_kind(rows, _read_beginning(rows), encoding)
        except UsageError as error:
            head.note_mistake(line, f"rows: {error}")
        except Broken as broken:
            head.troubles.append(Trouble(line, f"rows: {rows.name}: {broken.message}"))
    return ""
