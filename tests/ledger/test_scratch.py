from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from batchfill.errors import LedgerFailed
from batchfill.ledger.ledger import Ledger, open_ledger
from batchfill.ledger.scratch import open_scratch
from batchfill.values import RowState

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from batchfill.ledger.intake import Comparison
    from batchfill.values import Row

SIDE_FILES = ("-wal", "-shm")
"""SQLite's own, beside every ledger that was looked into."""


async def tried(path: Path, rows: Sequence[Row]) -> tuple[Comparison, int]:
    """Return what an import would mean, and how many duplicates it has."""
    async with open_scratch(path) as intake:
        await intake.add([replace(row, position=n, line=n + 2) for n, row in enumerate(rows)])
        await intake.identify()
        found = await intake.duplicates(10)
        await intake.drop_duplicates()
        return await intake.compare(), len(found)


async def test_without_a_ledger_nothing_is_made(path: Path, row: Callable[..., Row]) -> None:
    comparison, doubles = await tried(path, [row("a"), row("b"), row("A", asks="other")])
    assert comparison.groups[RowState.PENDING].rows == 2
    assert comparison.groups[RowState.PENDING].price == 80_000
    assert doubles == 1
    assert list(path.parent.iterdir()) == []


async def test_beside_a_ledger_the_answer_is_a_runs_and_nothing_changes(
    ledger: Ledger, path: Path, row: Callable[..., Row], take_in: Any, accept: Any, ask: Any
) -> None:
    await take_in(row("a"), row("b"), row("c"))
    await accept("a")
    before = ask("SELECT * FROM rows"), ask("SELECT * FROM tally"), ask("SELECT * FROM facts")
    rows = [row("a", asks="other"), row("b"), row("d")]
    comparison, _ = await tried(path, rows)
    assert (ask("SELECT * FROM rows"), ask("SELECT * FROM tally"), ask("SELECT * FROM facts")) == before
    assert comparison.groups[RowState.PENDING].rows == 3
    assert comparison.changed == 1
    assert comparison == await take_in(*rows)


async def test_an_import_that_is_only_tried_cannot_be_merged(
    ledger: Ledger, path: Path, row: Callable[..., Row], take_in: Any, ask: Any
) -> None:
    await take_in(row("a"))
    async with open_scratch(path) as intake:
        await intake.add([row("b")])
        await intake.identify()
        with pytest.raises(LedgerFailed, match="readonly"):
            await intake.merge(0.0)
    assert ask("SELECT id FROM results") == [("a",)]


async def test_a_ledger_that_nobody_writes_stays_as_it_is_byte_by_byte(
    tmp_path: Path, row: Callable[..., Row], clock: Any
) -> None:
    path = tmp_path / "idle.sqlite"
    async with open_ledger(path, clock) as ledger, ledger.intake() as intake:
        await intake.add([row("a")])
        await intake.identify()
        await intake.merge(0.0)
    before = path.read_bytes()
    comparison, _ = await tried(path, [row("a"), row("b")])
    assert comparison.groups[RowState.PENDING].rows == 2
    assert path.read_bytes() == before
    left = {one.name.removeprefix(path.name): one.stat().st_size for one in tmp_path.iterdir()}
    assert left.keys() <= {"", *SIDE_FILES}
    assert left.get("-wal", 0) == 0
