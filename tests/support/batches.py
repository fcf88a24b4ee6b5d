"""Batches between a desk and a provider.

A *batch* runs a manifest of the desk. *States* and *result* tell what became of its rows.
*Plans* are what a run shows before the first payment.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from batchfill.batch import Batch
from batchfill.emulator.emulator_server import EmulatorServer
from tests.support.providers import TOKEN

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from batchfill.domain.reports import Plan, Result
    from tests.support.desk import Desk

PRICED = {"price": "0.04"}
"""The head of a manifest whose outputs have a price."""


@pytest.fixture
def batch(desk: Desk, hurry: None) -> Callable[..., Batch]:
    """Make a batch that runs at a provider or an address; *rows*: a number, or the rows themselves.

    Without *rows* the manifest written last is opened again. *head* makes it a YAML manifest with these
    settings; everything else is a flag of `batchfill run`.
    """
    written: list[Path] = []

    def make(
        at: EmulatorServer | str | None,
        rows: int | Sequence[Mapping[str, str]] | None = None,
        *,
        name: str = "night.csv",
        head: Mapping[str, object] | None = None,
        token: str = TOKEN,
        **flags: Any,
    ) -> Batch:
        if rows is not None:
            rows = desk.rows(rows) if isinstance(rows, int) else rows
            written.append(desk.write(rows, name, **(head or {})))
        base = at.base if isinstance(at, EmulatorServer) else at
        flags = {"base_url": base, "rate": 60_000, **flags}
        return Batch.open(written[-1], environ={"BATCHFILL_TOKEN": token}, **flags)

    return make


@pytest.fixture
def states() -> Callable[[Batch], dict[str, str]]:
    """Return what becomes of each row, by its id."""
    return lambda batch: {result.id: result.state.value for result in batch.results()}


@pytest.fixture
def result() -> Callable[..., Result]:
    """Return the result of one row."""
    return lambda batch, id_="r1": next(found for found in batch.results() if found.id == id_)


class Plans(list["Plan"]):
    """The plans that were shown before the first payment, in order."""

    def accept(self, plan: Plan) -> bool:
        """Let the run go on."""
        self.append(plan)
        return True

    def decline(self, plan: Plan) -> bool:
        """Let nothing be started."""
        self.append(plan)
        return False


@pytest.fixture
def plans() -> Plans:
    """`run(confirm=plans.accept)`; see Plans."""
    return Plans()


def pictures(batch: Batch) -> list[str]:
    """Return the names of the files in `outputs/`."""
    return sorted(path.name for path in (batch.folder / "outputs").iterdir() if path.is_file())


def counts(batch: Batch) -> dict[str, int]:
    """Return the states that any row is in by `status`, and how many are."""
    return {state.value: number for state, number in batch.status().counts.items() if number}
