"""Valid values to print, of which a test changes what it is about."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from batchfill.domain.progress import Progress
from batchfill.domain.reports import CheckReport, Cost, Doubt, Plan, Status, Summary
from tests.support.reports import PLAN, counts_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from batchfill.domain.rows import RowState


COST = Cost(spent=3_600_000, reserved=80_000, to_go=400_000, cap=25_000_000)


@pytest.fixture
def by_state() -> Callable[..., dict[RowState, int]]:
    return counts_of


@pytest.fixture
def doubt() -> Doubt:
    return Doubt("hero", 12, 1_763_850_000.0, price=80_000, reason="connection reset", seed=41)


@pytest.fixture
def plan() -> Callable[..., Plan]:
    return lambda **changes: replace(PLAN, **changes)


@pytest.fixture
def report() -> Callable[..., CheckReport]:
    usual = CheckReport(
        rows=10_000,
        finished=0,
        mistakes=(),
        more_mistakes=0,
        warnings=(),
        price_to_go=400_000_000,
        currency="USD",
        seconds=3_900,
        model="black-forest-labs/flux-fill-dev",
        outputs_to_go=10_000,
    )
    return lambda **changes: replace(usual, **changes)


@pytest.fixture
def status() -> Callable[..., Status]:
    usual = Status(
        manifest="night.csv",
        model="black-forest-labs/flux-fill-dev",
        base="https://api.replicate.com/v1",
        running=False,
        counts=counts_of(done=90, pending=10),
        gone={},
        cost=COST,
        started_at=1_763_850_000.0,
        updated_at=1_763_850_061.5,
        stopped_because=None,
    )
    return lambda **changes: replace(usual, **changes)


@pytest.fixture
def summary() -> Callable[..., Summary]:
    usual = Summary(
        exit_code=0,
        counts=counts_of(done=15),
        gone={},
        cost=Cost(spent=720_000, reserved=0, to_go=0, cap=None),
        reasons={},
        doubts=(),
        stopped_because=None,
        folder="night.batch",
        submitted_now=15,
        finished_now=15,
        elapsed=40,
        requests=72,
    )
    return lambda **changes: replace(usual, **changes)


@pytest.fixture
def progress() -> Callable[..., Progress]:
    usual = Progress(
        counts=counts_of(done=6_300, failed=12, running=32, pending=3_656),
        gone={},
        cost=COST,
        elapsed=6_000,
        finished_now=6_312,
        seconds_left=3_900,
        rate=56.1,
    )
    return lambda **changes: replace(usual, **changes)
