"""An attempt and a prediction, of which a test changes what it is about."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from batchfill.domain.predictions import Prediction
from batchfill.domain.rows import Attempt, RowState

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


@pytest.fixture
def attempt() -> Callable[..., Attempt]:
    """Return an attempt whose answer was lost, with a seed of our own unless told otherwise."""

    def attempt(number: int = 1, *, seed: int | None = 41, own: bool = True, **changes: Any) -> Attempt:
        usual = Attempt(
            number=number,
            key=f"{number:032x}",
            id=f"row-{number}",
            line=number + 1,
            state=RowState.SUBMITTING,
            seed=seed,
            own_seed=own,
            origin="https://api.example.com/v1",
            sent={"prompt": "a spaceship", "image": "sha256:ab:99", "seed": seed, "guidance": 30.0},
            outputs_asked=1,
            intended_at=1_763_850_000.0,
            service_time=1_763_850_000.0,
            anchor=None,
        )
        return replace(usual, **changes)

    return attempt


@pytest.fixture
def listed() -> Callable[..., Prediction]:
    """Return a prediction as a list shows it, what `attempt` asks for unless told otherwise."""

    def listed(id_: str = "p1", *, seed: Any = 41, **changes: Any) -> Prediction:
        echoed = {
            "prompt": "a spaceship",
            "image": "https://files.example.com/ab",
            "seed": seed,
            "guidance": 30,
        }
        return replace(Prediction(id_, "processing", input=echoed), **changes)

    return listed
