"""The models that batchfill ships a description of, one JSON file each in `models/`."""

from __future__ import annotations

import json
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

from batchfill.catalog.field import Field, FieldType
from batchfill.catalog.model import Model
from batchfill.catalog.sizes import SizeRule

_FOLDER = Path(__file__).with_name("models")


@cache
def find_model(name: str) -> Model | None:
    """Return the shipped model *name* (OWNER/NAME); None when there is no such description."""
    if name not in model_names():
        return None
    path = _FOLDER / f"{name.replace('/', '--')}.json"
    return _read_model(json.loads(path.read_text(encoding="utf-8")))


def model_names() -> tuple[str, ...]:
    """Return the names of all shipped models."""
    return tuple(path.stem.replace("--", "/") for path in sorted(_FOLDER.glob("*.json")))


def unchecked_model(name: str) -> Model:
    """Return a model without a description: every input is accepted, `image` and `mask` are files."""
    fields = (
        Field(name="image", type=FieldType.FILE),
        Field(name="mask", type=FieldType.FILE),
        Field(name="prompt", type=FieldType.STRING),
    )
    return Model(
        name=name,
        fields={field.name: field for field in fields},
        checked=False,
        image_field="image",
        mask_field="mask",
        prompt_field="prompt",
        outputs_field="num_outputs",
    )


def _read_model(data: dict[str, Any]) -> Model:
    return Model(
        name=data["name"],
        fields={name: _read_field(name, facts) for name, facts in data["fields"].items()},
        image_field=data["image_field"],
        mask_field=data["mask_field"],
        prompt_field=data["prompt_field"],
        seed_field=data["seed_field"],
        outputs_field=data["outputs_field"],
        price=int(Decimal(data["price"]) * 1_000_000),
        currency=data["currency"],
        size_rule=SizeRule(**data["size_rule"]["megapixels"]) if data["size_rule"] else None,
        lists_outputs=data["lists_outputs"],
    )


def _read_field(name: str, facts: dict[str, Any]) -> Field:
    facts["type"] = FieldType(facts["type"])
    facts["choices"] = tuple(facts.get("choices", ()))
    return Field(name=name, **facts)
