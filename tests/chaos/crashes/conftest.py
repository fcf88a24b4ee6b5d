"""One server of forks for all these tests, and what a night does that nothing happens to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from tests.chaos.crashes.edges import CHILD, trace, walk
from tests.chaos.crashes.forks import Forks, open_forks

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
    from pathlib import Path

    from tests.chaos.crashes.edges import Case, Outcome
    from tests.chaos.crashes.effects import Step


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def forks() -> AsyncIterator[Forks]:
    """Where nights run."""
    async with open_forks(CHILD) as opened:
        yield opened


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def steps(forks: Forks, tmp_path_factory: Any) -> list[Step]:
    """What a night does that runs undisturbed to its end."""
    return await trace(tmp_path_factory.mktemp("undisturbed") / "night", forks)


@pytest.fixture
def outcomes(forks: Forks, tmp_path: Path) -> Callable[[Sequence[Case]], Awaitable[list[Outcome]]]:
    """`await outcomes(cases)` lets every case have its night."""
    return lambda cases: walk(tmp_path, forks, cases)
