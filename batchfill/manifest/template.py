"""A manifest to begin with, which explains itself."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from batchfill.catalog.field import join_words
from batchfill.catalog.pixel_options import PIXEL_FIELDS
from batchfill.errors import UsageError
from batchfill.settings.definitions import SETTINGS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from batchfill.catalog.field import Field
    from batchfill.catalog.model import Model
    from batchfill.settings.setting import Setting

_ROWS = (
    {"id": "hero", "image": "images/hero.png", "mask": "masks/hero.png", "prompt": "a spaceship"},
    {
        "id": "street",
        "image": "images/street.jpg",
        "mask": "masks/street.png",
        "prompt": "a wet, empty street",
    },
)
_NOTES = (
    "white in the mask is filled, black is kept; paths are relative to this file",
    "a column may name any input of the model; x_ columns are only carried to the results",
)
_EXAMPLES = {"expand": "20%", "aspect": "16:9"}
"""What stands for settings that have no default."""
_KINDS = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".yaml": "yaml", ".yml": "yaml"}

_HEAD = """\
# White in the mask is filled, black is kept. Paths are relative to this file.

model: {model}

# Settings, all optional; the command line wins over them:
#
{settings}

# Pixels of local files; a row may have its own:
#
{pixels}

# Inputs for every row that gives none of its own:
#
# defaults:
{defaults}

rows:                         # or the name of a CSV or JSONL file: rows: night.csv
"""


def make_template(kind: str, model: Model) -> str:
    """Return a manifest of *kind* (`csv`, `jsonl` or `yaml`) for *model*, with two example rows."""
    return {"csv": _csv_template, "jsonl": _jsonl_template, "yaml": _yaml_template}[kind](model)


def write_template(path: Path, model: Model) -> None:
    """Write a manifest to begin with to *path*, whose suffix says of which kind.

    Raises UsageError when there is such a file already, or the suffix is not known.
    """
    kind = _KINDS.get(path.suffix.lower())
    if kind is None:
        raise UsageError(f"{path}: the name should end with {join_words(_KINDS)}")
    try:
        with path.open("x", encoding="utf-8", newline="") as file:
            file.write(make_template(kind, model))
    except FileExistsError:
        raise UsageError(f"{path} is there already: name another file, or move it away") from None
    except OSError as error:
        raise UsageError(f"{path}: cannot be written: {error.strerror}") from error


def _csv_template(_model: Model) -> str:
    rows = _noted_rows()
    lines = [list(rows[0]), *([f'"{cell}"' for cell in row.values()] for row in rows)]
    return "".join(",".join(line) + "\n" for line in lines)


def _jsonl_template(_model: Model) -> str:
    return "".join(json.dumps(row) + "\n" for row in _noted_rows())


def _noted_rows() -> list[dict[str, str]]:
    # Neither format has comments; a column that is only carried to the results may hold them.
    return [row | {"x_note": note} for row, note in zip(_ROWS, _NOTES, strict=True)]


def _yaml_template(model: Model) -> str:
    optional = [field for field in model.fields.values() if field.name not in model.required_inputs]
    head = _HEAD.format(
        model=model.name,
        settings="\n".join(map(_setting_text, filter(lambda setting: setting.example, SETTINGS))),
        pixels="\n".join(map(_field_text, PIXEL_FIELDS)),
        defaults="\n".join(_field_text(field, indent="  ") for field in optional),
    )
    return head + "".join(map(_yaml_row, _ROWS))


def _yaml_row(row: Mapping[str, str]) -> str:
    lines = [f"{name}: {cell}" for name, cell in row.items()]
    return "  - " + "\n    ".join(lines) + "\n"


def _setting_text(setting: Setting) -> str:
    return _commented_out(setting.in_manifest, setting.example, setting.plain_help)


def _field_text(field: Field, *, indent: str = "") -> str:
    default = next(iter(field.choices), None) if field.default is None else field.default
    example = _EXAMPLES.get(field.name, "") if default is None else json.dumps(default)
    if example.strip('"').isalpha():  # a word that needs no quotes
        example = example.strip('"')
    return _commented_out(
        indent + field.name, example, _limits_text(field) + field.description.replace("`", "")
    )


def _commented_out(name: str, value: str, help_text: str) -> str:
    return f"# {f'{name}: {value}'.rstrip():<34} # {help_text}"


def _limits_text(field: Field) -> str:
    if field.choices:
        return f"{join_words(map(str, field.choices))}: "
    return "" if field.minimum is None else f"{field.minimum} to {field.maximum}: "
