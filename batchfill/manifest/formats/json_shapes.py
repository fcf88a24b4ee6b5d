"""What a JSON text is that is not a list of rows: known by how it begins, and told in one sentence."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, NamedTuple

from batchfill.catalog.pixel_options import PIXEL_READERS
from batchfill.errors import first_few
from batchfill.manifest.record import Broken
from batchfill.settings.definitions import IN_MANIFEST

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

EXAMPLE = '{"image": "a.png", "mask": "b.png"}'

_SCALAR, _OBJECT, _NOTHING = "a scalar", "an object", "an empty list"
_OBJECTS, _LISTS, _VALUES = "a list of objects", "a list of lists", "a list of values"
_IN_LIST = {"{": _OBJECTS, "[": _LISTS, "]": _NOTHING, "": _NOTHING}

_BLANK = re.compile(r"[ \t\r\n\ufeff]*")
_DECODER = json.JSONDecoder()

_DRAWN = "export its masks as pictures; `batchfill pair` makes a manifest of two folders"
_AS_TABLE = "export the table as CSV"
_AS_RECORDS = 'write a list of rows; pandas does with to_json(path, orient="records")'

_KNOWN = (
    (("shapes", "imagePath"), "a LabelMe file, which marks one picture", _DRAWN),
    (("images", "annotations"), "a COCO file of annotations", _DRAWN),
    (("images", "categories"), "a COCO file of annotations", _DRAWN),
    (("info", "licenses"), "a COCO file of annotations", _DRAWN),
    (("_via_img_metadata",), "a VGG file of annotations", _DRAWN),
    (("filename", "regions"), "a VGG file of annotations", _DRAWN),
    (("data", "annotations"), "an export of Label Studio", _DRAWN),
    (("data", "predictions"), "an export of Label Studio", _DRAWN),
    (("image", "annotations"), "a file of annotations", _DRAWN),
    (("data_row", "projects"), "an export of Labelbox", _DRAWN),
    (("fields", "createdTime"), "an answer of Airtable", _AS_TABLE),
    (("columns", "data"), "a table as pandas splits it", _AS_RECORDS),
    (("cells", "nbformat"), "a notebook", "save its rows as JSONL or CSV"),
    (("type", "features"), "a map (GeoJSON)", "save its rows as JSONL or CSV"),
)
"""Names that such an object has, of which one holds further values; what it is; what to do."""

_OF_ROWS = frozenset({"image", "mask", "prompt"})


class _Outline(NamedTuple):
    """The members of an object, as far as they could be seen."""

    kinds: Mapping[str, str]
    """What each holds, by its name."""
    places: Mapping[str, int]
    """Where the value of each begins."""
    alone: bool = True
    """Whether nothing is behind the object."""


def find_rows_list(text: str, *, cut: bool) -> str | None:
    """Return the name under which the one object of *text* has its rows; None where it is no such object.

    *cut*: the text goes on. Raises Broken where *text* is known to be no manifest, with what it is.
    """
    at = _skip(text, 0)
    kind = _kind_at(text, at)
    if kind in (_LISTS, _VALUES):
        raise Broken(0, f"lists values where a row is an object that names them, such as {EXAMPLE}")
    if kind == _OBJECTS:
        _refuse_known(_outline(text, _skip(text, at + 1), cut=cut))
    if kind != _OBJECT:
        return None
    outline = _outline(text, at, cut=cut)
    return _find_rows(text, outline, cut=cut) if outline.alone else None


def refuse_settings(names: Iterable[str]) -> None:
    """Raise Broken where one of the *names* next to the rows is a setting's, which would be left out."""
    if settings := [name for name in names if name in IN_MANIFEST or name in PIXEL_READERS]:
        told = first_few(settings)
        raise Broken(0, f"has settings next to its rows ({told}): give it the suffix .yaml, which has both")


def _find_rows(text: str, outline: _Outline, *, cut: bool) -> str | None:
    kinds = outline.kinds
    if all(kind == _SCALAR for kind in kinds.values()):
        return None
    _refuse_known(outline)
    if any(kind == _SCALAR and name.casefold() in _OF_ROWS for name, kind in kinds.items()):
        return None
    lists = [name for name, kind in kinds.items() if kind == _OBJECTS]
    if len(lists) > 1:
        raise Broken(0, f"has several lists, {first_few(lists)}: leave only the rows, as one list")
    if not lists:
        raise Broken(0, _explain_table(kinds))
    first = _outline(text, _skip(text, outline.places[lists[0]] + 1), cut=cut)
    if {"fields", "id"} <= first.kinds.keys() and first.kinds["fields"] == _OBJECT:
        raise Broken(0, f"is an answer of Airtable: {_AS_TABLE}")
    if any(kind != _SCALAR for kind in first.kinds.values()):
        raise Broken(0, f"has no rows, but values inside values under {lists[0]}: {_AS_RECORDS}")
    refuse_settings(kinds)
    return lists[0]


def _explain_table(kinds: Mapping[str, str]) -> str:
    if len(kinds) > 1 and set(kinds.values()) <= {_OBJECT, _VALUES, _NOTHING}:
        return f"is a table by columns, or rows by name ({first_few(kinds, 3)}): {_AS_RECORDS}"
    return f"is one object ({first_few(kinds, 3)}), where a manifest is a list of rows such as {EXAMPLE}"


def _refuse_known(outline: _Outline) -> None:
    for names, what, advice in _KNOWN:
        if all(name in outline.kinds for name in names) and _is_nested(outline, names):
            raise Broken(0, f"is {what}: {advice}")


def _is_nested(outline: _Outline, names: Iterable[str]) -> bool:
    return any(outline.kinds[name] != _SCALAR for name in names)


def _outline(text: str, at: int, *, cut: bool) -> _Outline:
    """Return what can be seen of the object that begins at *at*; of one that is no JSON nothing."""
    kinds: dict[str, str] = {}
    places: dict[str, int] = {}
    at = _skip(text, at + 1)
    try:
        while text[at] != "}":
            name, at = _DECODER.raw_decode(text, at)
            at = _skip(text, at, ":")
            kinds[str(name)], places[str(name)] = _kind_at(text, at), at
            _, at = _DECODER.raw_decode(text, at)
            at = _skip(text, at, ",")
    except (ValueError, IndexError, RecursionError):
        return _Outline(kinds, places) if cut else _Outline({}, {})
    return _Outline(kinds, places, alone=not text[_skip(text, at + 1) :])


def _kind_at(text: str, at: int) -> str:
    if text[at : at + 1] != "[":
        return _OBJECT if text[at : at + 1] == "{" else _SCALAR
    inside = _skip(text, at + 1)
    return _IN_LIST.get(text[inside : inside + 1], _VALUES)


def _skip(text: str, at: int, mark: str = "") -> int:
    """Return the place behind blanks, and behind *mark* and the blanks after it where it is there."""

    def behind_blanks(at: int) -> int:
        match = _BLANK.match(text, at)
        return match.end() if match else at

    at = behind_blanks(at)
    return behind_blanks(at + 1) if mark and text[at : at + 1] == mark else at
