"""A row of `results`, of which a test changes what it is about."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from batchfill.domain.reports import Result
from batchfill.domain.rows import RowState

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


@pytest.fixture
def make_result() -> Callable[..., Result]:
    usual: dict[str, Any] = {
        "id": "hero",
        "line": 2,
        "state": RowState.DONE,
        "image": "images/hero.png",
        "mask": "masks/hero.png",
        "prompt": "a spaceship",
        "outputs": ("outputs/hero@1.webp", "outputs/hero@2.webp"),
        "seed": 41,
        "prediction_id": "tv3jnp73n1rmc0crb54b3srz94",
        "attempts": 1,
        "cost": 80_000,
        "error": None,
        "flags": (),
        "decision": None,
        "chosen": None,
        "finished_as": (),
        "changed_inputs": {},
        "extra": {},
    }
    return lambda **changes: Result(**{**usual, **changes})
