"""The model that the settings name, as far as the catalog or a schema knows it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from batchfill.catalog.builtin import find_model, model_names, unchecked_model
from batchfill.catalog.openapi import from_schema
from batchfill.errors import UsageError, did_you_mean
from batchfill.settings.addresses import REPLICATE

if TYPE_CHECKING:
    from batchfill.catalog.model import Model
    from batchfill.settings.settings import Settings


def choose_model(settings: Settings) -> Model:
    """Return the model of *settings* at the price that holds for their provider."""
    if settings.model_schema is not None:
        model = from_schema(settings.model, settings.model_schema)
    else:
        known = find_model(settings.model.partition(":")[0]) or unchecked_model(settings.model)
        # A version is part of what a row asks for, and so of its fingerprint.
        model = replace(known, name=settings.model)
    if settings.price is not None:
        return replace(model, price=settings.price)
    # The catalog's prices are Replicate's; a gateway sets its own.
    return model if settings.base == REPLICATE or settings.local else replace(model, price=None)


def model_warnings(model: Model) -> list[str]:
    """Return what a user should know of *model* before paying for it."""
    if model.checked:
        return []
    near = did_you_mean(model.name.partition(":")[0], model_names())
    return [f"{model.name} is not in the catalog: its inputs are not checked{near}"]


def refuse_cap_without_price(settings: Settings, model: Model) -> None:
    """Raise UsageError when --max-cost is given and the price of a picture is not known."""
    if settings.max_cost is not None and model.price is None:
        place = settings.said_at.get("max_cost")
        way_out = f"take max_cost out of {place}" if place else "leave --max-cost out"
        raise UsageError(
            f"--max-cost needs to know what a picture of {model.name} costs at {settings.base}: "
            f"give --price 0.04, or {way_out}"
        )
