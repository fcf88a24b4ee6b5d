"""A manifest to begin with, which explains itself."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from batchfill.catalog.field import join_words
from batchfill.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from batchfill.catalog.field import Field
    from batchfill.catalog.model import Model

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
_KINDS = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".yaml": "yaml", ".yml": "yaml"}

_HEAD = """\
# White in the mask is filled, black is kept. Paths are relative to this file.

model: {model}

# Settings, all optional; the command line wins over them:
#
# concurrency: 32             # predictions that run at once
# rate: 600                   # new predictions a minute
# attempts: 3                 # for each row
# max_cost: 25                # never spend more than this on this batch
# until: 07:30                # submit nothing after this time of day
# prediction_timeout: 1800    # seconds after which a prediction is canceled
# price: 0.04                 # of one output, where it is not known
# send: original              # send files as they are, not scaled down to the size the model works at
# extra_columns: keep         # carry unknown names to the results instead of refusing them
# column: {{image: photo_url}}  # your own name for an input

# Pixels of local files; a row may have its own:
#
# mask_from: auto             # what is filled: white (the default), black, alpha or auto
# mask_grow: 8                # pixels by which the mask grows
# mask_fit: resize            # stretch a mask of another shape than its picture
# area: mask                  # send what surrounds the mask only, so that large pictures keep their detail
# padding: 25%                # left around the mask then; or pixels
# finish: exact               # paste the output into the original: nothing changes outside the mask
# mask_feather: 4             # pixels outside the mask over which it blends in
# metadata: false             # do not write prompt and seed into finished files

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
    head = _HEAD.format(model=model.name, defaults="\n".join(map(_default_text, optional)))
    return head + "".join(map(_yaml_row, _ROWS))


def _yaml_row(row: Mapping[str, str]) -> str:
    lines = [f"{name}: {cell}" for name, cell in row.items()]
    return "  - " + "\n    ".join(lines) + "\n"


def _default_text(field: Field) -> str:
    example = "" if field.default is None else json.dumps(field.default)
    return f"#   {f'{field.name}: {example}'.strip():<32} # {_limits_text(field)}{field.description}"


def _limits_text(field: Field) -> str:
    if field.choices:
        return f"{join_words(map(str, field.choices))}: "
    return "" if field.minimum is None else f"{field.minimum} to {field.maximum}: "
