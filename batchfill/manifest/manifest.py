"""A manifest that has been opened: what kind of file it is, its settings, and where its rows are."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from batchfill.errors import ManifestError, UsageError, did_you_mean
from batchfill.manifest import encodings
from batchfill.manifest.local_addresses import LocalAddresses, reach_of
from batchfill.manifest.record import Broken, Trouble, make_mistake
from batchfill.manifest.text import explain_undecodable, name_encoding, open_text, read_start
from batchfill.manifest.yaml_settings import Head, read_head

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from batchfill.manifest.local_addresses import LocatedFile

_KINDS = {
    ".csv": "csv",
    ".tsv": "csv",
    ".tab": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".yaml": "yaml",
    ".yml": "yaml",
}
_YAML = re.compile(r"#|---|- |\w+:(\s|$)")
_WORKBOOKS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
_KNOWN = "a manifest is a CSV (.csv), JSONL (.jsonl) or YAML (.yaml) file"


@dataclass(frozen=True, slots=True)
class Manifest:
    """An opened manifest; its rows have not been looked at yet."""

    path: Path
    kind: str
    """`csv`, `jsonl` or `yaml`."""
    rows: Path
    """The file that holds the rows: *path* itself, or what a YAML's `rows:` names."""
    rows_kind: str
    encoding: str | None = None
    """Of the rows; None for UTF-8."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Scalar settings, read; without `defaults` and `column`."""
    defaults: Mapping[str, str] = field(default_factory=dict)
    column: Mapping[str, str] = field(default_factory=dict)
    """Input name → the manifest's name for its column."""
    lines: Mapping[str, int] = field(default_factory=dict)
    """The line of each setting: `price`, `defaults.guidance`, `column.image`."""


def open_manifest(path: Path, *, encoding: str | None = None) -> Manifest:
    """Open *path*, reading no more than its head.

    *encoding* is the one of the command line; it goes before the manifest's own for the rows. Raises
    UsageError when there is no such file or encoding, ManifestError with every mistake of the head.
    """
    if encoding is not None and not encodings.is_encoding(encoding):
        raise UsageError(f"--encoding {encoding}: no such encoding; known are utf-8, gb18030, windows-1252 …")
    start = _read_beginning(path)
    try:
        kind = _find_kind(path, _check_text(path, start, encoding))
        if kind != "yaml":
            return Manifest(path, kind, rows=path, rows_kind=kind, encoding=encoding)
        with open_text(path, encoding) as text:
            head = read_head(text)
        return _with_head(path, head, encoding)
    except Broken as broken:
        raise ManifestError([make_mistake(path, broken.line, broken.message)]) from None


def _read_beginning(path: Path) -> bytes:
    if path.is_dir():
        raise UsageError(f"{path} is a folder: {_KNOWN}")
    if path.exists() and not path.is_file():
        raise UsageError(f"{path} is not a regular file: {_KNOWN}")
    try:
        return read_start(path)
    except FileNotFoundError:
        raise UsageError(f"{path}: no such file{_nearest_name(path)}") from None
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from error


def _nearest_name(path: Path) -> str:
    folder = path.parent
    names = [entry.name for entry in folder.iterdir() if entry.suffix in _KINDS] if folder.is_dir() else []
    return did_you_mean(path.name, names)


def _check_text(path: Path, start: bytes, encoding: str | None) -> str:
    """Return the beginning of the file as text. Raises Broken when it is none."""
    if start.startswith(_WORKBOOKS):
        raise Broken(0, 'is a workbook or an archive: open it and save it as "CSV UTF-8"')
    if encoding is None and 0 in start:
        raise _explain_nul(start)
    text = encodings.decode_sample(start, encoding or "utf-8-sig")
    if text is None:
        raise explain_undecodable(path, encoding)
    if not text.strip("\ufeff \t\r\n"):
        raise Broken(0, "is empty")
    return text


def _explain_nul(start: bytes) -> Broken:
    # Zero bytes are valid UTF-8: only their places tell UTF-16 from damage.
    likely = encodings.guess_encoding(start)
    if likely.startswith("UTF-16"):
        return Broken(0, name_encoding("UTF-8", likely))
    line = start[: start.index(0)].count(b"\n") + 1
    return Broken(line, "holds a NUL character: the file is damaged, or not a text file")


def _find_kind(path: Path, text: str) -> str:
    """Return what *path* is, by its suffix, else by how its *text* begins."""
    suffix = path.suffix.lower()
    if suffix in _KINDS:
        return _KINDS[suffix]
    first = text.lstrip("\ufeff \t\r\n").partition("\n")[0].strip()
    if first.startswith("{"):
        return "jsonl"
    if first.startswith("["):
        raise Broken(0, 'one JSON list: a JSONL file has one object a line, such as {"image": "a.png"}')
    return "yaml" if _YAML.match(first) else "csv"


def _with_head(path: Path, head: Head, encoding: str | None) -> Manifest:
    own_encoding = _own_encoding(head)
    rows, kind = path, "yaml"
    if head.rows is not None:
        # The setting is about the file of the rows: this one has just been read without it.
        encoding = encoding or own_encoding
        place = LocalAddresses(path.parent).locate(head.rows)
        rows = path.parent / place.spelled
        kind = _kind_of_rows(rows, place, path, head, encoding)
    if head.troubles:
        raise ManifestError([make_mistake(path, *trouble) for trouble in sorted(head.troubles)])
    return Manifest(
        path,
        "yaml",
        rows=rows,
        rows_kind=kind,
        encoding=encoding,
        settings=head.settings,
        defaults=head.defaults,
        column=head.column,
        lines=head.lines,
    )


def _own_encoding(head: Head) -> str | None:
    encoding: str | None = head.settings.get("encoding")
    if encoding is None or encodings.is_encoding(encoding):
        return encoding
    head.note_mistake(head.lines["encoding"], f"encoding {encoding}: no such encoding")
    return None


def _kind_of_rows(rows: Path, place: LocatedFile, path: Path, head: Head, encoding: str | None) -> str:
    """Return the kind of the file *rows*; what is wrong with it is noted in *head*."""
    line = head.lines["rows"]
    kind = _KINDS.get(rows.suffix.lower(), "")
    if kind not in ("csv", "jsonl"):
        head.note_mistake(line, f"rows: {head.rows} must be a CSV (.csv) or JSONL (.jsonl) file")
    elif objection := reach_of(path.parent).objection(place):
        head.note_mistake(line, f"rows: {head.rows} {objection}: move it there")
    else:
        _try_rows(rows, line, head, encoding)
    return kind


def _try_rows(rows: Path, line: int, head: Head, encoding: str | None) -> None:
    try:
        _check_text(rows, _read_beginning(rows), encoding)
    except UsageError as error:
        head.note_mistake(line, f"rows: {error}")
    except Broken as broken:
        head.troubles.append(Trouble(line, f"rows: {rows.name}: {broken.message}"))
