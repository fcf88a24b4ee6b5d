"""Valid values of a run, of which a test changes what it is about."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from batchfill.settings import Settings
from batchfill.values import Attempt, Prediction, Result, RowState, Token

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def settings(tmp_path: Path) -> Callable[..., Settings]:
    usual = Settings(
        manifest=tmp_path / "night.csv",
        folder=tmp_path / "night.batch",
        token=Token("r8_for_tests_only"),
    )
    return lambda **changes: replace(usual, **changes)


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
def prediction() -> Callable[..., Prediction]:
    """Return a prediction as a list shows it, what `attempt` asks for unless told otherwise."""

    def prediction(id_: str = "p1", *, seed: Any = 41, **changes: Any) -> Prediction:
        echoed = {
            "prompt": "a spaceship",
            "image": "https://files.example.com/ab",
            "seed": seed,
            "guidance": 30,
        }
        return replace(Prediction(id_, "processing", input=echoed), **changes)

    return prediction


@pytest.fixture
def result() -> Callable[..., Result]:
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
        "extra": {},
    }
    return lambda **changes: Result(**{**usual, **changes})
