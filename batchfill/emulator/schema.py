"""A model as the service publishes it, and inputs judged as the service judges them."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from batchfill.catalog.field import FieldType

if TYPE_CHECKING:
    from collections.abc import Mapping

    from batchfill.catalog.field import Field
    from batchfill.catalog.model import Model

Fault = tuple[str, str, str]
"""Type, field and description of one thing wrong with an input."""

_JSON_TYPES = {FieldType.FILE: "string"}
_KINDS: tuple[tuple[str, type | tuple[type, ...]], ...] = (
    ("boolean", bool),
    ("integer", int),
    ("number", float),
    ("string", str),
    ("array", list),
    ("object", dict),
)


def version_of(model: Model) -> str:
    """Return the id of the one version that a model has here: 64 hex digits."""
    return sha256(model.name.encode()).hexdigest()


def version_answer(model: Model, created_at: str) -> dict[str, Any]:
    """Return the version of *model* with its `openapi_schema`."""
    schemas = {"Input": _input_schema(model), "Output": _output_schema(model), **_enum_schemas(model)}
    return {
        "id": version_of(model),
        "created_at": created_at,
        "cog_version": "0.16.0",
        "openapi_schema": {
            "openapi": "3.0.2",
            "info": {"title": "Cog", "version": "0.1.0"},
            "paths": {},
            "components": {"schemas": schemas},
        },
    }


def model_answer(model: Model, created_at: str, runs: int) -> dict[str, Any]:
    """Return what the model call answers."""
    owner, _, name = model.name.partition("/")
    nothing = ("description", "github_url", "paper_url", "license_url", "cover_image_url", "default_example")
    return {
        "url": f"https://replicate.com/{model.name}",
        "owner": owner,
        "name": name,
        **dict.fromkeys(nothing),
        "visibility": "public",
        "run_count": runs,
        "latest_version": version_answer(model, created_at),
    }


def find_faults(model: Model, inputs: Mapping[str, Any]) -> list[Fault]:
    """Return what is wrong with *inputs*, which need not be complete or known; unknown ones are ignored."""
    missing = [
        ("required", "input", f"{field.name} is required")
        for field in model.fields.values()
        if field.required and inputs.get(field.name) is None
    ]
    given = [model.fields[name] for name in inputs if name in model.fields and inputs[name] is not None]
    return missing + [fault for field in given if (fault := _judge_value(field, inputs[field.name]))]


def _judge_value(field: Field, value: Any) -> Fault | None:
    where = f"input.{field.name}"
    expected, kind = _json_type(field), _json_kind(value)
    if kind != expected and not (expected == "number" and kind == "integer"):
        return "invalid_type", where, f"Invalid type. Expected: {expected}, given: {kind}"
    if field.choices and value not in field.choices:
        words = ", ".join(json.dumps(choice) for choice in field.choices)
        return "enum", where, f"{where} must be one of the following: {words}"
    if field.minimum is not None and value < field.minimum:
        return "number_gte", where, f"Must be greater than or equal to {field.minimum}"
    if field.maximum is not None and value > field.maximum:
        return "number_lte", where, f"Must be less than or equal to {field.maximum}"
    if field.type is FieldType.FILE and not _is_uri(value):
        return "format", where, "Does not match format 'uri'"
    return None


def _is_uri(value: str) -> bool:
    if value.startswith("data:"):
        return True
    try:
        parts = urlsplit(value)
    except ValueError:
        return False
    return bool(parts.scheme and parts.netloc)


def _json_kind(value: Any) -> str:
    """Return JSON's word for the type of *value*; a whole number is an integer however it was written."""
    if isinstance(value, float) and value.is_integer():
        return "integer"
    return next((kind for kind, types in _KINDS if isinstance(value, types)), "null")


def _json_type(field: Field) -> str:
    return _JSON_TYPES.get(field.type, field.type.value)


def _input_schema(model: Model) -> dict[str, Any]:
    fields = enumerate(model.fields.values())
    return {
        "type": "object",
        "title": "Input",
        "required": [field.name for field in model.fields.values() if field.required],
        "properties": {field.name: _property_schema(field) | {"x-order": n} for n, field in fields},
    }


def _property_schema(field: Field) -> dict[str, Any]:
    shape: dict[str, Any] = {"type": _json_type(field), "title": field.name.replace("_", " ").title()}
    if field.choices:
        shape = {"allOf": [{"$ref": f"#/components/schemas/{field.name}"}]}
    if field.type is FieldType.FILE:
        shape["format"] = "uri"
    limits = {"default": field.default, "minimum": field.minimum, "maximum": field.maximum}
    known = {name: value for name, value in limits.items() if value is not None}
    return shape | known | {"description": field.description}


def _enum_schemas(model: Model) -> dict[str, Any]:
    return {
        field.name: {
            "enum": list(field.choices),
            "type": _json_type(field),
            "title": field.name,
            "description": "An enumeration.",
        }
        for field in model.fields.values()
        if field.choices
    }


def _output_schema(model: Model) -> dict[str, Any]:
    one = {"type": "string", "format": "uri"}
    return (
        {"type": "array", "items": one, "title": "Output"}
        if model.lists_outputs
        else one | {"title": "Output"}
    )
