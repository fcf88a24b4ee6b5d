from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from batchfill.catalog.field import FieldType
from batchfill.catalog.openapi import from_schema
from batchfill.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

INPUT: dict[str, Any] = {
    "type": "object",
    "required": ["prompt", "picture"],
    "properties": {
        "steps": {"type": "integer", "minimum": 1, "maximum": 50, "default": 28, "x-order": 3},
        "prompt": {"type": "string", "x-order": 0, "description": "what to paint"},
        "picture": {"type": "string", "format": "uri", "x-order": 1},
        "mask_image": {"type": "string", "format": "uri", "x-order": 2},
        "seed": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
        "output_format": {"allOf": [{"$ref": "#/components/schemas/output_format"}], "default": "webp"},
        "weights": {"type": "array", "items": {"type": "string"}},
    },
}
SCHEMAS = {"Input": INPUT, "output_format": {"type": "string", "enum": ["webp", "png"], "title": "x"}}
VERSION = {"openapi_schema": {"components": {"schemas": SCHEMAS}}}


def write(folder: Path, document: object) -> Path:
    path = folder / "schema.json"
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return path


@pytest.mark.parametrize(
    "document", [VERSION, VERSION["openapi_schema"], {"latest_version": VERSION, "name": "b"}]
)
def test_inputs_are_read_from_every_shape_that_the_service_publishes(
    tmp_path: Path, document: object
) -> None:
    model = from_schema("a/b", write(tmp_path, document))

    assert list(model.fields) == ["prompt", "picture", "mask_image", "steps", "seed", "output_format"]
    assert model.fields["output_format"].choices == ("webp", "png")
    assert model.fields["output_format"].default == "webp"
    assert model.fields["seed"].type is FieldType.INTEGER
    assert model.file_fields == ("picture", "mask_image")
    assert model.required_inputs == ("prompt", "picture", "mask_image")


def test_the_bare_input_schema_will_do(tmp_path: Path) -> None:
    bare = INPUT | {"properties": {"prompt": {"type": "string"}}, "required": ["prompt"]}

    model = from_schema("a/b", write(tmp_path, bare))

    assert model.required_inputs == ("prompt",)
    assert model.checked
    assert model.image_field is None


def test_a_type_may_be_a_list_with_null_in_it(tmp_path: Path) -> None:
    schema = {"properties": {"a": {"type": ["integer", "null"]}, "b": {"type": ["string", "integer"]}}}

    model = from_schema("a/b", write(tmp_path, schema))

    assert list(model.fields) == ["a"]
    assert model.fields["a"].type is FieldType.INTEGER


def test_cells_are_typed_by_the_schema(tmp_path: Path) -> None:
    model = from_schema("a/b", write(tmp_path, VERSION))

    assert model.type_cell("steps", "30") == 30
    with pytest.raises(ValueError, match="steps must be between 1 and 50, not 51"):
        model.type_cell("steps", "51")
    with pytest.raises(ValueError, match="unknown input weights"):
        model.type_cell("weights", "x")


def test_a_shipped_model_keeps_its_price_and_size_rule(tmp_path: Path) -> None:
    model = from_schema("black-forest-labs/flux-fill-dev", write(tmp_path, VERSION))

    assert model.price == 40_000
    assert model.size_rule is not None
    assert "guidance" not in model.fields


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ([], "holds no Input schema"),
        ({"latest_version": None}, "holds no Input schema"),
        (
            {"properties": {"a": {"$ref": "#/components/schemas/b"}}},
            "refers to #/components/schemas/b, which is not",
        ),
        ({"properties": {"a": {"type": "array"}}, "required": ["a"]}, "the required input a is no text"),
        ({"properties": {"a": 3}, "required": [["b"], "a"]}, "the required input a is no text"),
    ],
)
def test_a_file_that_is_no_schema_is_named(tmp_path: Path, document: object, message: str) -> None:
    path = write(tmp_path, document)

    with pytest.raises(UsageError, match=message) as caught:
        from_schema("a/b", path)

    assert str(caught.value).startswith(str(path))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"nope\.json: cannot be read: No such file"):
        from_schema("a/b", tmp_path / "nope.json")
