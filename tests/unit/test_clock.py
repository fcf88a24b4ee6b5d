from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING

from batchfill import clock
from batchfill.clock import SystemChance, SystemClock

if TYPE_CHECKING:
    import pytest


def test_seeds_are_ones_that_every_model_takes() -> None:
    chance = SystemChance()
    seeds = [chance.seed() for _ in range(10_000)]
    assert all(1 <= seed < 2**31 for seed in seeds)
    assert len(set(seeds)) > 9_900


def test_a_clock_that_is_set_back_goes_on_from_where_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = [1000.0]
    monkeypatch.setattr(clock, "time", SimpleNamespace(time=lambda: shown[0]))
    ours = SystemClock()
    assert ours.now() == 1000
    shown[0] = 400.0
    assert ours.now() == 1000
    shown[0] = 410.0
    assert ours.now() == 1010


def test_a_clock_that_is_set_forward_is_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = [1000.0]
    monkeypatch.setattr(clock, "time", SimpleNamespace(time=lambda: shown[0]))
    ours = SystemClock()
    assert ours.now() == 1000
    shown[0] = 9000.0
    assert ours.now() == 9000
