"""Local rows are finished exactly unless they say otherwise, and batches that were begun before stay raw."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from batchfill.session.as_begun.default_finish import FACT

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from batchfill.batch import Batch
    from batchfill.emulator.emulator_server import EmulatorServer
    from tests.support.desk import Desk

    Open = Callable[..., Batch]
    Serve = Callable[..., Awaitable[EmulatorServer]]


def silent(desk: Desk, count: int, **cells: str) -> list[dict[str, str]]:
    """Return rows that do not say how they are finished."""
    return [
        {name: cell for name, cell in row.items() if name != "finish"} | cells for row in desk.rows(count)
    ]


def files(batch: Batch) -> list[str]:
    """Return the outputs of all rows, by their names."""
    return [name.rpartition("/")[2] for result in batch.results() for name in result.outputs]


@pytest.mark.parametrize(
    ("cells", "head", "expected"),
    [
        ({}, {}, "r1.png"),
        ({"mask": "box:10,10,20,20"}, {}, "r1.png"),
        ({"output_format": "webp"}, {}, "r1.webp"),
        ({"num_outputs": "2", "finish_format": "jpg"}, {}, "r1@1.jpg r1@2.jpg"),
        ({"finish": "exact"}, {"finish": "raw"}, "r1.png"),
        ({"finish": ""}, {"finish": "raw"}, "r1.webp"),
        ({"finish": "raw"}, {}, "r1.webp"),
        ({"mask": "", "expand": "50%"}, {}, "r1.png"),
    ],
    ids=str,
)
async def test_a_row_with_local_files_is_finished_unless_it_says_otherwise(
    service: Serve, batch: Open, desk: Desk, cells: dict[str, str], head: dict[str, str], expected: str
) -> None:
    night = batch(await service(), silent(desk, 1, **cells), head=head)
    assert (await night.run()).exit_code == 0
    assert files(night) == expected.split()
    (result,) = night.results()
    assert bool(result.finished_as) is (not expected.endswith(".webp") or "output_format" in cells)


@pytest.mark.parametrize("name", ["image", "mask", "image mask"])
async def test_a_row_with_a_file_at_an_address_stays_raw(
    service: Serve, batch: Open, desk: Desk, name: str
) -> None:
    remote = {one: f"https://pictures.test/{one}.png" for one in name.split()}
    night = batch(await service(), silent(desk, 1, **remote))
    assert (await night.run()).exit_code == 0
    assert files(night) == ["r1.webp"]


async def test_a_batch_begun_before_stays_raw_until_it_says_otherwise(
    service: Serve, batch: Open, desk: Desk
) -> None:
    provider = await service()
    assert (await batch(provider, silent(desk, 3, finish="raw"), limit=1).run()).exit_code == 3
    night = batch(provider, silent(desk, 3))
    with closing(sqlite3.connect(night.folder / "ledger.sqlite")) as db, db:
        assert db.execute("DELETE FROM facts WHERE name = ?", (FACT,)).rowcount == 1
    assert (await night.run()).exit_code == 0
    assert files(night) == ["r1.webp", "r2.webp", "r3.webp"]

    asked = batch(provider, silent(desk, 3, finish="exact"))
    await asked.finish()
    assert (files(asked), provider.billed) == (["r1.png", "r2.png", "r3.png"], 3)


async def test_a_batch_begun_now_goes_on_as_it_began(service: Serve, batch: Open, desk: Desk) -> None:
    provider = await service()
    assert (await batch(provider, silent(desk, 2), limit=1).run()).exit_code == 3
    night = batch(provider)
    assert (await night.run()).exit_code == 0
    assert (files(night), provider.billed) == (["r1.png", "r2.png"], 2)
