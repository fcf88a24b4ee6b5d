from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from batchfill.catalog.builtin import unchecked_model

if TYPE_CHECKING:
    from batchfill.catalog.model import Model
    from batchfill.domain.rows import Input


def test_a_row_must_give_the_required_inputs_and_the_mask(dev: Model) -> None:
    assert dev.required_inputs == ("prompt", "image", "mask")


def test_picture_and_mask_are_files(dev: Model) -> None:
    assert dev.file_fields == ("image", "mask")


@pytest.mark.parametrize(("inputs", "asked"), [({}, 1), ({"num_outputs": 3}, 3), ({"seed": 3}, 1)])
def test_outputs_asked_for_are_the_row_s_or_the_default(
    dev: Model, inputs: dict[str, Input], asked: int
) -> None:
    assert dev.outputs_asked(inputs) == asked


def test_a_model_with_one_output_always_asks_for_one(pro: Model) -> None:
    assert pro.outputs_asked({"num_outputs": 3}) == 1


@pytest.mark.parametrize("value", [0, -2, "many", True, 2.5])
def test_an_unchecked_row_asks_for_at_least_one_output(value: Input) -> None:
    assert unchecked_model("a/b").outputs_asked({"num_outputs": value}) == 1


def test_an_attempt_costs_the_price_of_each_output(dev: Model) -> None:
    assert dev.price_of({}) == 40_000
    assert dev.price_of({"num_outputs": 4}) == 160_000
    assert dev.price_of({"num_outputs": 4}, per_output=10_000) == 40_000
    assert dev.price_of({"num_outputs": 4}, per_output=0) == 0


def test_an_unknown_price_stays_unknown() -> None:
    assert unchecked_model("a/b").price_of({}) is None
    assert unchecked_model("a/b").price_of({}, per_output=5) == 5


def test_an_undescribed_model_takes_any_column_and_no_seed_of_ours() -> None:
    model = unchecked_model("a/b")

    assert model.type_cell("whatever", "0.5") == 0.5
    assert model.type_cell("image", " a.png ") == "a.png"
    assert not model.checked
    assert model.required_inputs == ()
    assert model.seed_field is None


@pytest.mark.parametrize(
    ("model", "sent", "most"),
    [
        ("dev", {"num_outputs": 3}, 3),
        ("dev", {}, 3),
        ("pro", {}, 3),
        # It may have an input of another name that asks for several.
        ("a/b", {"num_images": 3}, None),
        ("a/b", {"num_outputs": 3}, 3),
    ],
)
def test_the_outputs_that_a_row_takes_at_most_are_those_asked_for_where_that_is_known(
    dev: Model, pro: Model, model: str, sent: dict[str, object], most: int | None
) -> None:
    of = {"dev": dev, "pro": pro}.get(model) or unchecked_model(model)
    assert of.most_outputs(sent, 3) == most
