"""The models that these tests ask."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from batchfill.catalog.builtin import find_model

if TYPE_CHECKING:
    from batchfill.catalog.model import Model


@pytest.fixture(scope="session")
def dev() -> Model:
    model = find_model("black-forest-labs/flux-fill-dev")
    assert model is not None
    return model


@pytest.fixture(scope="session")
def pro() -> Model:
    model = find_model("black-forest-labs/flux-fill-pro")
    assert model is not None
    return model
