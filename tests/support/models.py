"""The models that batchfill knows, as tests name them.

*DEV* and *PRO* are names; *dev* and *pro* are what the catalog tells of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from batchfill.catalog.builtin import find_model

if TYPE_CHECKING:
    from batchfill.catalog.model import Model

DEV = "black-forest-labs/flux-fill-dev"
PRO = "black-forest-labs/flux-fill-pro"


def known_model(name: str) -> Model:
    """Return the model of this name, which the catalog must have."""
    model = find_model(name)
    assert model is not None
    return model


@pytest.fixture(scope="session")
def dev() -> Model:
    return known_model(DEV)


@pytest.fixture(scope="session")
def pro() -> Model:
    return known_model(PRO)
