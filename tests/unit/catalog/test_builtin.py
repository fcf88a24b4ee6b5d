from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from batchfill.catalog.builtin import find_model, model_names
from batchfill.catalog.field import FieldType

if TYPE_CHECKING:
    from batchfill.catalog.model import Model


def test_both_models_ship() -> None:
    assert model_names() == ("black-forest-labs/flux-fill-dev", "black-forest-labs/flux-fill-pro")


@pytest.mark.parametrize("name", model_names())
def test_every_description_can_be_read_and_describes_each_input(name: str) -> None:
    model = find_model(name)

    assert model is not None
    assert model.price is not None
    roles = (model.image_field, model.mask_field, model.prompt_field, model.seed_field)
    assert all(role in model.fields for role in roles)
    assert all(field.description for field in model.fields.values())


@pytest.mark.parametrize("name", model_names())
def test_every_default_is_a_value_that_a_cell_could_give(name: str) -> None:
    model = find_model(name)
    assert model is not None

    for field in model.fields.values():
        if field.default is not None:
            assert field.read(str(field.default)) == field.default


@pytest.mark.parametrize("name", ["a/b", "Black-Forest-Labs/Flux-Fill-Dev", "../models/x", ""])
def test_an_unknown_model_is_not_found(name: str) -> None:
    assert find_model(name) is None


def test_flux_fill_dev_is_as_the_service_documents_it(dev: Model) -> None:
    facts = {
        field.name: (field.type, field.default, field.minimum, field.maximum) for field in dev.fields.values()
    }

    assert facts["num_inference_steps"] == (FieldType.INTEGER, 28, 1, 50)
    assert facts["guidance"] == (FieldType.NUMBER, 30, 0, 100)
    assert facts["lora_scale"] == (FieldType.NUMBER, 1, -1, 3)
    assert dev.fields["output_format"].choices == ("webp", "jpg", "png")
    assert len(dev.fields) == 13


def test_flux_fill_pro_returns_one_string(pro: Model) -> None:
    assert not pro.lists_outputs
    assert pro.outputs_field is None
