from __future__ import annotations

from batchfill.run.clock import SystemChance


def test_seeds_are_ones_that_every_model_takes() -> None:
    chance = SystemChance()
    seeds = [chance.seed() for _ in range(10_000)]
    assert all(1 <= seed < 2**31 for seed in seeds)
    assert len(set(seeds)) > 9_900
