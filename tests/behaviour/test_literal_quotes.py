"""Quotes behind a space in a CSV, and batches that were begun when they were text."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from batchfill.session.as_begun.literal_quotes import FACT

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from batchfill.batch import Batch
    from batchfill.emulator.emulator_server import EmulatorServer

    Open = Callable[..., Batch]
    Serve = Callable[..., Awaitable[EmulatorServer]]


def write_spaced(desk: Any, count: int, name: str = "night.csv") -> None:
    """Write a CSV as people type it, with a space behind each comma."""
    rows = [
        f'{row["id"]}, {row["image"]}, {row["mask"]}, "cat {n}"' for n, row in enumerate(desk.rows(count), 1)
    ]
    (desk.folder / name).write_text("\n".join(["id, image, mask, prompt", *rows, ""]), "utf-8")


def prompts(provider: EmulatorServer) -> set[str]:
    return {str(prediction.input["prompt"]) for prediction in provider.predictions()}


async def test_quotes_behind_a_space_are_read_alike_at_every_start(
    service: Serve, batch: Open, desk: Any
) -> None:
    provider = await service()
    night = batch(provider, 1)
    write_spaced(desk, 2)
    for _ in range(2):
        assert (await night.run()).exit_code == 0
    assert prompts(provider) == {"cat 1", "cat 2"}
    assert provider.billed == 2


async def begin_before(provider: EmulatorServer, batch: Open, desk: Any) -> Batch:
    """Run two rows whose quotes are text, and leave a ledger as an older batchfill leaves it."""
    rows = [{**row, "prompt": f' "cat {n}"'} for n, row in enumerate(desk.rows(2), 1)]
    night = batch(provider, rows)
    assert (await night.run()).exit_code == 0
    with closing(sqlite3.connect(night.folder / "ledger.sqlite")) as db, db:
        assert db.execute("DELETE FROM facts WHERE name = ?", (FACT,)).rowcount == 1
    return night


async def test_a_batch_begun_when_they_were_text_pays_for_no_row_once_more(
    service: Serve, batch: Open, desk: Any
) -> None:
    provider = await service()
    night = await begin_before(provider, batch, desk)
    write_spaced(desk, 3)

    assert (await night.check()).outputs_to_go == 1
    for _ in range(2):
        assert (await night.run()).exit_code == 0
    assert prompts(provider) == {' "cat 1"', ' "cat 2"', ' "cat 3"'}
    assert provider.billed == 3


@pytest.mark.parametrize("way", ["ledger lost", "folder and manifest renamed"])
async def test_such_a_batch_pays_nothing_twice_when_only_a_part_of_it_is_left(
    service: Serve, batch: Open, desk: Any, way: str
) -> None:
    provider = await service()
    night = await begin_before(provider, batch, desk)
    write_spaced(desk, 2)
    if way == "ledger lost":
        for path in night.folder.glob("ledger.sqlite*"):
            path.unlink()
    else:
        night = batch(provider, 2, name="renamed.csv")
        write_spaced(desk, 2, "renamed.csv")
        (desk.folder / "night.csv").unlink()

    for _ in range(2):
        await night.run()

    assert provider.billed == 2
    assert {found.state.value for found in night.results()} == {"done"}
