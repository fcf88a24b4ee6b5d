"""A model described by an OpenAPI Input schema, as Replicate publishes it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from batchfill.catalog.builtin import find_model
from batchfill.catalog.field import Field, FieldType
from batchfill.catalog.model import Model
from batchfill.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_SCALARS = frozenset({"string", "integer", "number", "boolean"})


def from_schema(name: str, path: Path) -> Model:
    """Return the model *name* with the inputs that the JSON file *path* describes.

    The file holds the Input schema itself, a version, or a whole answer of the model call. Price, size rule
    and the like are those of the shipped model of that name, where there is one. Raises UsageError.
    """
    document = _load_schema(path)
    try:
        return model_from_document(name, document)
    except ValueError as error:
        raise UsageError(f"{path}: {error}") from None


def model_from_document(name: str, document: object) -> Model:
    """Return the model *name* as *document* describes it; see `from_schema`. Raises ValueError."""
    schema, others = _find_input(document)
    return _with_roles(name, _read_fields(schema, others))


def _load_schema(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path}: not JSON: {error}") from error


def _find_input(document: Any) -> tuple[dict[str, Any], Mapping[str, Any]]:
    """Return the Input schema and the schemas that it may refer to."""
    inner = document
    for key in ("latest_version", "openapi_schema"):
        inner = _object_below(inner, key) or inner
    schemas = _object_below(_object_below(inner, "components"), "schemas") or {}
    schema = _object_below(schemas, "Input") or _object_below(inner, "Input") or inner
    if not _object_below(schema, "properties"):
        raise ValueError("holds no Input schema: expected an object with `properties`")
    return schema, schemas


def _object_below(value: object, key: str) -> dict[str, Any] | None:
    """Return the object below *key*, None when there is none."""
    found = value.get(key) if isinstance(value, dict) else None
    return found if isinstance(found, dict) else None


def _read_fields(schema: dict[str, Any], others: Mapping[str, Any]) -> dict[str, Field]:
    required = schema.get("required")
    needed = required if isinstance(required, list) else []
    fields = {}
    for name, facts in sorted(schema["properties"].items(), key=_order_of):
        facts = _resolve_references(facts, others)
        kind = _type_name(facts.get("type"))
        if kind in _SCALARS:
            fields[name] = _read_field(name, kind, facts, required=name in needed)
        elif name in needed:
            raise ValueError(
                f"the required input {name} is no text, number or file: a manifest cannot give it"
            )
    return fields


def _type_name(types: object) -> str:
    """Return the type that *types* names, which may be a list with `null` in it; empty when it names none."""
    kinds = [kind for kind in (types if isinstance(types, list) else [types]) if kind != "null"]
    return kinds[0] if len(kinds) == 1 and isinstance(kinds[0], str) else ""


def _order_of(item: tuple[str, Any]) -> float:
    place = item[1].get("x-order") if isinstance(item[1], dict) else None
    return place if isinstance(place, int) else float("inf")


def _resolve_references(facts: Any, others: Mapping[str, Any]) -> dict[str, Any]:
    """Return *facts* with what `$ref`, `allOf` and a nullable `anyOf` stand for; empty when meaningless."""
    if not isinstance(facts, dict):
        return {}
    resolved = dict(facts)
    for part in (facts, *_list_below(facts, "allOf"), *_list_below(facts, "anyOf")):
        if isinstance(part, dict) and part.get("type") != "null":
            # What is next to the reference (default, description) says more than its target.
            resolved = _find_target(part, others) | resolved
    return resolved


def _find_target(part: dict[str, Any], others: Mapping[str, Any]) -> dict[str, Any]:
    reference = part.get("$ref")
    if reference is None:
        return part
    target = _object_below(others, str(reference).rpartition("/")[2])
    if target is None:
        raise ValueError(f"refers to {reference}, which is not in the file")
    return target


def _list_below(facts: dict[str, Any], key: str) -> list[Any]:
    value = facts.get(key)
    return value if isinstance(value, list) else []


def _read_field(name: str, kind: str, facts: dict[str, Any], *, required: bool) -> Field:
    is_file = kind == "string" and facts.get("format") == "uri"
    return Field(
        name=name,
        type=FieldType.FILE if is_file else FieldType(kind),
        required=required,
        default=_scalar_or_none(facts.get("default")),
        minimum=_bound_or_none(facts.get("minimum")),
        maximum=_bound_or_none(facts.get("maximum")),
        choices=tuple(value for value in _list_below(facts, "enum") if _scalar_or_none(value) is not None),
        description=str(facts.get("description", "")),
    )


def _scalar_or_none(value: Any) -> str | int | float | bool | None:
    return value if isinstance(value, str | int | float) else None


def _bound_or_none(value: Any) -> int | float | None:
    return value if isinstance(value, int | float) else None


def _with_roles(name: str, fields: dict[str, Field]) -> Model:
    files = [field.name for field in fields.values() if field.type is FieldType.FILE]
    masks = [file for file in files if "mask" in file]
    pictures = [file for file in files if file not in masks]
    known = find_model(name) or Model(name=name, fields={})
    return replace(
        known,
        fields=fields,
        image_field=_first_known("image", pictures),
        mask_field=_first_known("mask", masks),
        prompt_field="prompt" if "prompt" in fields else None,
        seed_field="seed" if "seed" in fields else None,
        outputs_field="num_outputs" if "num_outputs" in fields else None,
    )


def _first_known(usual: str, names: list[str]) -> str | None:
    return usual if usual in names else next(iter(names), None)
